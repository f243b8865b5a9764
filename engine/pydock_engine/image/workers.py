"""Work in threads, events in the caller's own thread.

A notebook's display belongs to the thread that runs the cell, and so do interrupts: the caller
waits here, shows what the workers report, and is the one who gives up.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Event = TypeVar("Event")
T = TypeVar("T")


class Cancelled(Exception):
    """Raised in a worker after another one failed or the caller gave up."""


class Workers(Generic[Event]):
    """A pool whose workers `emit` events that `result` hands to `on_event` while it waits.

    `give_up` is called once, from the caller's thread, when the block ends with an exception: it
    should make whatever the workers wait for fail. Leaving the block waits for every worker.
    """

    def __init__(
        self,
        count: int,
        on_event: Callable[[Event], None],
        give_up: Callable[[], None],
    ) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="pydock-pull")
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._on_event = on_event
        self._give_up = give_up
        self._cancelled = threading.Event()
        self._futures: list[Future[object]] = []

    def submit(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        future = self._pool.submit(function, *arguments)
        self._futures.append(future)  # type: ignore[arg-type]
        future.add_done_callback(lambda _: self._events.put(None))
        return future

    def emit(self, event: Event) -> None:
        """From a worker: passes `event` on. Raises Cancelled when there is nobody to finish for."""
        self.check()
        self._events.put(event)

    def check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def result(self, future: Future[T]) -> T:
        """The result of `future`; a failure of any worker is raised at once."""
        while not future.done():
            event = self._events.get()
            if event is not None:
                self._on_event(event)
            else:
                self._raise_failure()
        self._raise_failure()
        return future.result()

    def drain(self) -> None:
        """Hands over the events that are waiting."""
        while not self._events.empty():
            event = self._events.get()
            if event is not None:
                self._on_event(event)

    def _raise_failure(self) -> None:
        for future in self._futures:
            if future.done() and not future.cancelled():
                error = future.exception()
                if error is not None and not isinstance(error, Cancelled):
                    raise error

    def __enter__(self) -> Workers[Event]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._cancelled.set()
            self._give_up()
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
