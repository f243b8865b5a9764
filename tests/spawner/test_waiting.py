"""How long the spawner's loop may sleep."""

from __future__ import annotations

import time

from pydock_engine.spawner.process import IDLE_S, SPARE_AFTER_S, SpawnerProcess


def loop_with(
    children: set[int], deadlines: list[float], *, wants_spare: bool = False
) -> SpawnerProcess:
    """The loop's state alone: no socket, no signal handler."""
    process = SpawnerProcess.__new__(SpawnerProcess)
    process._children = children
    process._wants_spare = wants_spare
    process._pending = {fd: (None, deadline) for fd, deadline in enumerate(deadlines)}  # type: ignore[misc]
    return process


def test_an_old_spawner_with_a_running_child_sleeps_instead_of_spinning() -> None:
    long_ago = time.monotonic() - 2 * IDLE_S
    assert loop_with({4711}, [])._wait_s(long_ago) == -1


def test_an_idle_spawner_wakes_when_it_may_leave() -> None:
    assert 0 < loop_with(set(), [])._wait_s(time.monotonic()) <= IDLE_S
    assert loop_with(set(), [])._wait_s(time.monotonic() - 2 * IDLE_S) == 0


def test_a_silent_connection_wakes_it_at_its_deadline() -> None:
    assert 0 < loop_with({4711}, [time.monotonic() + 5])._wait_s(0) <= 5


def test_a_spare_is_made_once_it_is_quiet() -> None:
    loop = loop_with({4711}, [], wants_spare=True)
    assert 0 < loop._wait_s(time.monotonic()) <= SPARE_AFTER_S
