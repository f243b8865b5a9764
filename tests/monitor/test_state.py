"""state.json: replaced in one step, and believed only while it can be true."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydock_engine.container.records import ContainerState
from pydock_engine.errors import StoreError
from pydock_engine.monitor import state as states
from pydock_engine.paths import ContainerPaths


@pytest.fixture
def own(tmp_path: Path) -> ContainerPaths:
    (tmp_path / "c").mkdir()
    return ContainerPaths(tmp_path / "c", tmp_path / "r")


def running(pid: int) -> ContainerState:
    return ContainerState(
        status="running",
        pid=1,
        monitor_pid=pid,
        monitor_started=states.start_time(pid),
        boot_id=states.boot_id(),
    )


def test_without_a_file_it_is_created(own: ContainerPaths) -> None:
    assert states.read(own).status == "created"


def test_it_is_read_as_written_and_nothing_else_is_left(own: ContainerPaths) -> None:
    state = replace(running(os.getpid()), not_applied=("--memory",), started_at="x")
    states.write(own, state)
    assert states.read(own) == state
    assert os.listdir(own.base) == ["state.json"]


def test_a_killed_monitor_means_dead_with_a_reason(own: ContainerPaths) -> None:
    with subprocess.Popen(["sleep", "100"]) as monitor:
        states.write(own, running(monitor.pid))
        assert states.read(own).status == "running"
        monitor.kill()
    found = states.read(own)
    assert (found.status, found.exit_code, found.pid) == ("dead", 137, 0)
    assert f"pid {monitor.pid}" in found.error


def test_a_zombie_is_no_monitor(own: ContainerPaths) -> None:
    monitor = subprocess.Popen(["sleep", "100"])
    states.write(own, running(monitor.pid))
    monitor.kill()
    os.waitid(os.P_PID, monitor.pid, os.WEXITED | os.WNOWAIT)
    assert states.read(own).status == "dead"
    monitor.wait()


def test_another_process_with_its_pid_is_not_the_monitor(own: ContainerPaths) -> None:
    states.write(own, replace(running(os.getpid()), monitor_started=1))
    assert states.read(own).status == "dead"


def test_a_restart_of_the_machine_means_dead(own: ContainerPaths) -> None:
    states.write(own, replace(running(os.getpid()), boot_id="another"))
    assert "restarted" in states.read(own).error


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"status": 5}', b"\xff" * 100])
def test_a_damaged_file_is_dead_and_not_a_traceback(own: ContainerPaths, data: bytes) -> None:
    own.state.write_bytes(data)
    found = states.read(own)
    assert found.status == "dead"
    assert "damaged" in found.error


def test_the_names_of_programs_cannot_confuse_the_start_time() -> None:
    script = "import ctypes; ctypes.CDLL(None).prctl(15, b') R 1 2 3'); print(1); input()"
    with subprocess.Popen(
        ["python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        assert states.start_time(odd.pid) >= states.start_time(os.getpid())
        odd.communicate("\n")


def test_what_cannot_be_written_is_a_store_error(own: ContainerPaths) -> None:
    own.base.rmdir()
    with pytest.raises(StoreError):
        states.write(own, states.CREATED)
