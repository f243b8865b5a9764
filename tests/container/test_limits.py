"""Limits as a user of the engine meets them: they hold, the result tells, nothing is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from pydock_engine.container.container import Container
from pydock_engine.errors import ContainerDied

from tests.container.conftest import Run, wait_for_output
from tests.support.groups import PLACES, needs_controllers

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network, needs_controllers]
MEMORY_BOMB = "x=0123456789abcdef; while true; do x=$x$x; done"


def test_too_much_memory_is_told_in_the_result(sh: Run) -> None:
    result = sh(MEMORY_BOMB, memory_bytes=16 << 20)
    assert (result.exit_code, result.oom_killed) == (137, True)


def test_a_program_that_outlives_the_kill_of_another_tells_it_too(sh: Run) -> None:
    result = sh(f"sh -c '{MEMORY_BOMB}'; echo $?", memory_bytes=16 << 20)
    assert (result.exit_code, result.stdout, result.oom_killed) == (0, "137\n", True)


def test_enough_memory_is_not_told(sh: Run) -> None:
    result = sh("exit 137", memory_bytes=16 << 20, cpus=1.0, pids_limit=50)
    assert (result.exit_code, result.oom_killed) == (137, False)
    assert result.not_applied == ()


def test_groups_end_with_their_container(detached: Callable[..., Container]) -> None:
    container = detached("echo ready; exec sleep 1000", memory_bytes=16 << 20, pids_limit=50)
    wait_for_output(container, b"ready")
    groups = [folder / "pydock" / container.id for folder in PLACES.folders()]
    assert any(group.exists() for group in groups)
    container.remove(force=True)
    assert [group for group in groups if group.exists()] == []


def test_groups_of_a_killed_monitor_end_with_its_container(
    detached: Callable[..., Container],
) -> None:
    container = detached("echo ready; exec sleep 1000", memory_bytes=16 << 20, pids_limit=50)
    wait_for_output(container, b"ready")
    groups = [folder / "pydock" / container.id for folder in PLACES.folders()]
    os.kill(container.state.monitor_pid, signal.SIGKILL)
    with pytest.raises(ContainerDied):
        container.wait()
    container.remove(force=True)
    assert [group for group in groups if group.exists()] == []
