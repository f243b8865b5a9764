"""Standard streams and signals of `pydock run`: bytes pass untouched, signals are handed on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_DESCRIPTORS = {"stdout": 1, "stderr": 2}

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class RawOutput:
    """Writes to the process's own stdout and stderr: no buffering, no decoding."""

    def __init__(self) -> None:
        self._broken: set[str] = set()

    def __call__(self, stream: str, data: bytes) -> None:
        """`data`, whole. Raises BrokenPipeError the first time that nobody reads any more.

        Only the first time: what a program says while it is being ended for that goes nowhere.
        """
        if stream in self._broken:
            return
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(_DESCRIPTORS[stream], left) :]
        except BrokenPipeError:
            self._broken.add(stream)
            raise


@contextmanager
def forwarded_signals(send: Callable[[int], None]) -> Iterator[None]:
    """Within, SIGINT, SIGTERM, SIGHUP and SIGQUIT go to `send` instead of ending this process."""

    def hand_on(number: int, _: object) -> None:
        send(number)

    before = {number: signal.signal(number, hand_on) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
