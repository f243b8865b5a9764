"""The ladder: which signals are worth waiting for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from pydock_engine.monitor.kill import Ladder, can_hear


class Init:
    """Records what it was sent; `pid` is this process, which stands for one with handlers."""

    pid = os.getpid()

    def __init__(self) -> None:
        self.sent: list[int] = []

    def send_signal(self, number: int) -> None:
        self.sent.append(number)

    def kill(self) -> None:
        self.sent.append(9)


class Group:
    def __init__(self) -> None:
        self.killed = False

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def handled() -> Iterator[int]:
    """A signal this process has a handler for."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def ladder(*signals: int) -> tuple[Any, Any, Ladder]:
    init: Any = Init()
    group: Any = Group()
    return init, group, Ladder(init, group, signals, 5.0)


def test_it_waits_after_a_signal_that_is_handled(handled: int) -> None:
    init, group, steps = ladder(handled)
    assert steps.step() == 5.0
    assert (init.sent, group.killed) == ([handled], False)
    assert steps.step() is None
    assert (init.sent, group.killed) == ([handled, 9], True)


def test_it_does_not_wait_for_what_nobody_hears(handled: int) -> None:
    init, group, steps = ladder(signal.SIGUSR2, handled, signal.SIGUSR2)
    assert steps.step() == 5.0
    assert init.sent == [signal.SIGUSR2, handled]
    assert steps.step() is None
    assert init.sent == [signal.SIGUSR2, handled, signal.SIGUSR2, 9]
    assert group.killed


def test_no_signals_mean_a_kill_at_once() -> None:
    init, group, steps = ladder()
    assert steps.step() is None
    assert (init.sent, group.killed) == ([9], True)


STATUS = (
    "Name:\tx\nSigBlk:\t0000000000000200\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004002\n"
)


@pytest.mark.parametrize(
    ("number", "heard"),
    [
        (signal.SIGINT, True),  # caught
        (signal.SIGTERM, True),
        (signal.SIGUSR1, True),  # blocked: fetched with sigwait or a signalfd
        (signal.SIGPIPE, False),  # ignored
        (signal.SIGHUP, False),
    ],
)
def test_handlers_are_read_from_proc(number: int, heard: bool) -> None:
    assert can_hear(1, number, lambda _: STATUS) == heard


def test_who_has_gone_hears_nothing() -> None:
    assert not can_hear(2**22 + 1, signal.SIGTERM)
