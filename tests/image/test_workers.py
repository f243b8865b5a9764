"""Work in threads: events and failures arrive in the caller's thread, nobody is left behind."""

from __future__ import annotations

import threading

import pytest
from pydock_engine.image.workers import Cancelled, Workers


def test_events_and_results_come_to_the_caller() -> None:
    seen: list[tuple[int, threading.Thread]] = []
    with Workers[int](
        2, lambda event: seen.append((event, threading.current_thread())), lambda: None
    ) as workers:

        def work(number: int) -> int:
            workers.emit(number)
            return number * 2

        futures = [workers.submit(work, number) for number in range(5)]
        assert [workers.result(future) for future in futures] == [0, 2, 4, 6, 8]
        workers.drain()
    assert sorted(number for number, _ in seen) == list(range(5))
    assert {thread for _, thread in seen} == {threading.current_thread()}


def test_the_first_failure_is_raised_though_another_result_is_awaited() -> None:
    gave_up = threading.Event()

    def wait_for_the_end() -> None:
        gave_up.wait(30)

    def fail() -> None:
        raise LookupError("first")

    def run() -> None:
        with Workers[int](2, lambda _: None, gave_up.set) as workers:
            slow = workers.submit(wait_for_the_end)
            workers.submit(fail)
            workers.result(slow)

    with pytest.raises(LookupError, match="first"):
        run()
    assert gave_up.is_set()


def test_a_worker_whose_caller_gave_up_is_told_at_its_next_event() -> None:
    gave_up, told = threading.Event(), []

    def run() -> None:
        with Workers[int](1, interrupt, gave_up.set) as workers:

            def work() -> None:
                workers.emit(1)
                gave_up.wait(30)
                try:
                    workers.emit(2)
                except Cancelled:
                    told.append(True)
                    raise

            workers.result(workers.submit(work))

    def interrupt(event: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert told == [True]
