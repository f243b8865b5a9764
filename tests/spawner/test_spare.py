"""The child that waits for the next container."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.paths import Paths
from pydock_engine.protocol.messages import StartContainer, Started
from pydock_engine.spawner.client import Spawner


def children(pid: int) -> dict[int, str]:
    """Names of the children of a process that still live."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            found[int(child)] = Path(f"/proc/{child}/comm").read_text().strip()
    return found


def wait_for_spare(pid: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for child, name in children(pid).items():
            if name == "pydock-spare":
                return child
        time.sleep(0.005)
    raise AssertionError(f"no spare among {children(pid)}")


def wait_for_end(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(10_000)


def start_nothing(spawner: Spawner) -> None:
    """A start of a container that is not there: answered by a monitor, refused at once."""
    with spawner.open() as channel:
        channel.send(StartContainer(container_id="0" * 64))
        with pytest.raises(errors.ContainerNotFound):
            channel.expect(Started)


@pytest.fixture
def pid(spawner: Spawner, paths: Paths) -> int:
    """The spawner's."""
    paths.containers.mkdir()
    return spawner.welcome().pid


def test_there_is_none_before_the_first_container(spawner: Spawner, pid: int) -> None:
    spawner.welcome()
    assert children(pid) == {}


def test_it_answers_the_next_start_and_another_takes_its_place(spawner: Spawner, pid: int) -> None:
    start_nothing(spawner)
    first = wait_for_spare(pid)
    start_nothing(spawner)
    second = wait_for_spare(pid)
    assert second != first


def test_a_killed_spare_costs_nobody_anything(spawner: Spawner, pid: int) -> None:
    start_nothing(spawner)
    spare = wait_for_spare(pid)
    with open(os.pidfd_open(spare), "rb") as pidfd:
        os.kill(spare, signal.SIGKILL)
        wait_for_end(pidfd.fileno())
    start_nothing(spawner)
    assert wait_for_spare(pid) != spare


def test_it_holds_nothing_of_the_spawner(spawner: Spawner, pid: int, paths: Paths) -> None:
    start_nothing(spawner)
    spare = wait_for_spare(pid)
    held = {os.readlink(f"/proc/{spare}/fd/{n}") for n in os.listdir(f"/proc/{spare}/fd")}
    assert str(paths.spawner_lock) not in held
    assert sum(name.startswith("socket:") for name in held) == 1
    assert os.getsid(spare) == spare


def test_it_ends_with_its_spawner(spawner: Spawner, pid: int) -> None:
    start_nothing(spawner)
    with open(os.pidfd_open(wait_for_spare(pid)), "rb") as pidfd:
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pidfd.fileno())
