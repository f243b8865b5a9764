"""Standard streams and signals of `pydock run`: bytes pass untouched, signals are handed on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_DESCRIPTORS = {"stdout": 1, "stderr": 2}

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def write_raw(stream: str, data: bytes) -> None:
    """`data` to the process's own descriptor, whole; no buffering, no decoding.

    Raises BrokenPipeError when nobody reads any more.
    """
    left = memoryview(data)
    while left:
        left = left[os.write(_DESCRIPTORS[stream], left) :]


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
