"""SIGKILL of a client, the spawner or a monitor: what must run runs on, what is left is cleared."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.container.container import Container
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine
from pydock_engine.monitor.lock import lock_container
from pydock_engine.runtime.cgroups.group import find_group

from tests.container.conftest import wait_for_output

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network]

Detached = Callable[..., Container]
SLEEPER = "echo ready; sleep 1000"
WAITS = "mkfifo /tmp/go; echo ready; read x < /tmp/go; echo after; exit 6"


def kill(pid: int) -> None:
    """SIGKILL, and the end of the process."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        wait_for_end(pidfd)
    finally:
        os.close(pidfd)


def wait_for_end(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(10_000)


def go(container: Container) -> None:
    with open(f"/proc/{container.state.pid}/root/tmp/go", "w") as fifo:
        fifo.write("x\n")


def test_a_killed_spawner_takes_no_container_along(busybox: Engine, detached: Detached) -> None:
    container = detached(WAITS)
    wait_for_output(container, b"ready")
    kill(busybox.spawner.welcome().pid)
    assert container.status == "running"
    other = detached(SLEEPER)  # a new spawner starts it
    go(container)
    assert container.wait() == 6
    assert container.logs() == b"ready\nafter\n"
    container.remove()
    other.remove(force=True)


def test_a_killed_monitor_means_a_dead_container(busybox: Engine, detached: Detached) -> None:
    container = detached(SLEEPER)
    bystander = detached(WAITS)
    wait_for_output(container, b"ready")
    wait_for_output(bystander, b"ready")
    init = os.pidfd_open(container.state.pid)
    kill(container.state.monitor_pid)
    wait_for_end(init)
    os.close(init)
    state = container.state
    assert (state.status, state.exit_code) == ("dead", 137)
    assert "was killed" in state.error
    assert container.logs() == b"ready\n"
    with pytest.raises(errors.ContainerDied, match=container.name):
        container.wait()
    assert [s.status for s in busybox.containers.summaries(all=True)] == ["running", "dead"]
    go(bystander)
    assert bystander.wait() == 6


def test_a_dead_container_is_removed_without_force(busybox: Engine, detached: Detached) -> None:
    container = detached(SLEEPER)
    kill(container.state.monitor_pid)
    container.remove()
    assert busybox.containers.list(all=True) == []
    assert find_group(container.id).processes() == set()
    assert not container.paths.base.exists()
    assert not container.paths.run.exists()


def test_a_dead_container_starts_again(detached: Detached) -> None:
    container = detached("mkfifo /tmp/go; echo ready; read x < /tmp/go")
    wait_for_output(container, b"ready")
    kill(container.state.monitor_pid)
    container.start()
    assert container.status == "running"
    container.remove(force=True)


def test_an_rm_container_whose_monitor_died_goes_with_the_next_list(
    busybox: Engine, detached: Detached
) -> None:
    container = detached(SLEEPER, rm=True)
    kill(container.state.monitor_pid)
    assert busybox.containers.list(all=True) == []
    assert not container.paths.base.exists()


def test_a_foreground_client_learns_of_its_monitors_death(
    busybox: Engine, options: Callable[..., RunOptions]
) -> None:
    def murder(stream: str, data: bytes) -> None:
        kill(busybox.containers.get("job").state.monitor_pid)

    with pytest.raises(errors.ContainerDied, match="its monitor was killed"):
        busybox.containers.run(options(SLEEPER, name="job"), on_output=murder)
    assert busybox.containers.get("job").status == "dead"


def test_followers_of_a_killed_monitor_get_what_was_written(detached: Detached) -> None:
    container = detached(SLEEPER)
    seen = []
    for entry in container.output(follow=True):
        seen.append(entry.data)
        kill(container.state.monitor_pid)
    assert seen == [b"ready\n"]


def test_folders_without_a_row_are_leftovers(busybox: Engine, detached: Detached) -> None:
    container = detached(SLEEPER)
    left = busybox.paths.container("f" * 64)
    held = busybox.paths.container("e" * 64)
    for own in (left, held):
        (own.base / "snapshot" / "work").mkdir(parents=True)
        (own.base / "plan.json").write_text("{")
    lock = lock_container(held, "e" * 64)
    try:
        assert [c.id for c in busybox.containers.list(all=True)] == [container.id]
        assert not left.base.exists()
        assert held.base.exists()  # somebody is just making it
    finally:
        os.close(lock)
    busybox.containers.list()
    assert not held.base.exists()


def test_a_row_without_a_folder_can_be_seen_and_removed(
    busybox: Engine, options: Callable[..., RunOptions]
) -> None:
    container = busybox.containers.create(options("true", name="ghost"))
    (container.paths.base / "plan.json").unlink()
    container.paths.base.rmdir()
    assert busybox.containers.summaries(all=True)[0].name == "ghost"
    with pytest.raises(errors.NotFound):
        container.start()
    container.remove()
    assert busybox.containers.list(all=True) == []


@pytest.mark.parametrize("damage", [None, b"", b"{", b'{"record": 1}'])
def test_a_container_without_a_plan_says_so(
    busybox: Engine, options: Callable[..., RunOptions], damage: bytes | None
) -> None:
    container = busybox.containers.create(options("true"))
    plan = container.paths.base / "plan.json"
    plan.unlink()
    if damage is not None:
        plan.write_bytes(damage)
    with pytest.raises(errors.StoreError, match=r"plan\.json"):
        container.start()
    container.remove()


VICTIM = """
import sys
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine
engine = Engine()
print("ready", flush=True)
for number in range(1000):
    options = RunOptions(image=sys.argv[1], command=("sh", "-c", "echo x"), rm=number % 2 == 0)
    engine.containers.run(options)
"""


@pytest.mark.slow
def test_whoever_is_killed_whenever_nothing_is_left(
    busybox: Engine, busybox_reference: str
) -> None:
    """Clients in a loop of runs; one of the three kinds of process dies at a random moment."""
    rng = random.Random(7)
    for round_ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", VICTIM, busybox_reference],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as client:
            assert client.stdout is not None
            client.stdout.readline()
            time.sleep(rng.uniform(0, 0.15))  # the moment is the test's input
            if round_ % 3 == 0:
                client.kill()
            elif round_ % 3 == 1:
                _kill_one(busybox.spawner.welcome().pid)
            else:
                _kill_one(*_children(busybox.spawner.welcome().pid))
            client.kill()
    _settle(busybox)
    for container in busybox.containers.list(all=True):
        assert container.status in ("created", "exited", "dead")
        container.remove()
    assert os.listdir(busybox.paths.containers) == []
    assert not (busybox.paths.run / "c").exists() or os.listdir(busybox.paths.run / "c") == []


def _kill_one(*pids: int) -> None:
    for pid in pids[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _settle(engine: Engine) -> None:
    """Waits for what the killed ones' monitors are still doing."""
    for container in engine.containers.list(all=True):
        with contextlib.suppress(errors.ContainerDied):
            container.wait()
    deadline = time.monotonic() + 10
    while _children(engine.spawner.welcome().pid) and time.monotonic() < deadline:
        time.sleep(0.01)
