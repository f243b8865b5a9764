"""Containers that run on their own: stop, kill, wait, logs, start again, remove."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.container.container import Container
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine
from pydock_engine.runtime.cgroups.group import find_group

from tests.container.conftest import wait_for_output

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network]

Detached = Callable[..., Container]
SLEEPER = "echo ready; sleep 1000"


def test_another_engine_sees_it_waits_and_reads_its_log(
    busybox: Engine, detached: Detached
) -> None:
    container = detached("mkfifo /tmp/f; echo ready; read x < /tmp/f; echo err >&2; exit 4")
    other = Engine(busybox.paths.root)
    same = other.containers.get(container.name)
    wait_for_output(same, b"ready")
    assert [c.id for c in other.containers.list()] == [container.id]
    with open(f"/proc/{same.state.pid}/root/tmp/f", "w") as fifo:
        fifo.write("x\n")
    assert same.wait() == 4
    assert same.logs() == b"ready\nerr\n"
    assert same.logs(stderr=False) == b"ready\n"
    assert other.containers.list() == []
    other.database.close()


def test_stop_asks_first(detached: Detached) -> None:
    container = detached("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    wait_for_output(container, b"ready")
    container.stop()
    assert (container.status, container.state.exit_code) == ("exited", 3)
    assert container.logs() == b"ready\nbye\n"


def test_stop_kills_what_does_not_listen_without_waiting_for_it(detached: Detached) -> None:
    container = detached(SLEEPER)
    wait_for_output(container, b"ready")
    start = time.monotonic()
    container.stop(timeout=30)
    assert time.monotonic() - start < 5
    assert container.state.exit_code == 137


def test_stop_uses_the_signal_it_was_told(detached: Detached) -> None:
    script = "trap 'exit 8' USR1; echo ready; while :; do sleep 0.05; done"
    container = detached(script, stop_signal="SIGUSR1")
    wait_for_output(container, b"ready")
    container.stop()
    assert container.state.exit_code == 8


def test_stopping_what_does_not_run_is_fine_and_killing_it_is_not(detached: Detached) -> None:
    container = detached("true")
    container.wait()
    container.stop()
    with pytest.raises(errors.Conflict, match="is not running"):
        container.kill()


def test_kill_sends_one_signal(detached: Detached) -> None:
    container = detached("trap 'echo usr' USR1; echo ready; while :; do sleep 0.05; done")
    wait_for_output(container, b"ready")
    container.kill("SIGUSR1")
    wait_for_output(container, b"usr")
    assert container.status == "running"
    container.kill()
    assert container.wait() == 137


def test_an_unknown_signal_is_refused(detached: Detached) -> None:
    container = detached(SLEEPER)
    with pytest.raises(errors.UsageError, match="NOSUCH"):
        container.kill("NOSUCH")
    assert container.status == "running"


def test_starting_twice_is_a_conflict(detached: Detached) -> None:
    container = detached(SLEEPER)
    with pytest.raises(errors.Conflict, match="running"):
        container.start()
    assert container.status == "running"


def test_an_ended_one_starts_again_and_keeps_files_and_log(detached: Detached) -> None:
    container = detached("cat /tmp/seen 2>/dev/null; echo again > /tmp/seen; echo run")
    container.wait()
    first = container.state
    container.start()
    assert container.wait() == 0
    lines = container.logs().split(b"\n")
    assert lines[-4:] == [b"run", b"again", b"run", b""]
    assert container.state.started_at > first.started_at


def test_a_running_one_is_removed_by_force_only(busybox: Engine, detached: Detached) -> None:
    container = detached(SLEEPER)
    pid = container.state.pid
    with pytest.raises(errors.Conflict, match="is running"):
        busybox.containers.remove(container.name)
    container.remove(force=True)
    with pytest.raises(errors.ContainerNotFound):
        busybox.containers.get(container.id)
    assert not container.paths.base.exists()
    assert not container.paths.run.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_names_ids_and_their_beginnings(busybox: Engine, detached: Detached) -> None:
    container = detached(SLEEPER, name="known")
    for text in ("known", "/known", container.id, container.short_id, container.id[:4]):
        assert busybox.containers.get(text) == container
    with pytest.raises(errors.ContainerNotFound, match="no such container: nobody"):
        busybox.containers.get("nobody")


def test_ls_shows_running_ones_and_with_all_the_rest(busybox: Engine, detached: Detached) -> None:
    ended = detached("exit 2")
    ended.wait()
    running = detached(SLEEPER)
    assert [s.id for s in busybox.containers.summaries()] == [running.id]
    both = busybox.containers.summaries(all=True)
    assert [s.id for s in both] == [running.id, ended.id]
    assert [s.exit_code for s in both] == [None, 2]


def test_rm_and_detach_together_remove_at_the_end(busybox: Engine, detached: Detached) -> None:
    container = detached("echo gone", rm=True)
    container.wait()
    assert busybox.containers.list(all=True) == []
    assert not container.paths.base.exists()


def test_inspect_has_dockers_names(detached: Detached) -> None:
    container = detached(SLEEPER, name="seen", env=("A=1",), labels={"k": "v"}, memory_bytes=None)
    shown = container.inspect()
    assert shown["Id"] == container.id
    assert shown["Name"] == "/seen"
    assert shown["State"]["Status"] == "running"
    assert shown["State"]["Pid"] == container.state.pid
    assert shown["Config"]["Env"][-1] == "A=1"
    assert shown["Config"]["Labels"] == {"k": "v"}
    assert shown["HostConfig"]["NetworkMode"] == "none"
    assert (shown["Path"], shown["Args"][0]) == ("sh", "-c")


def test_a_monitor_told_to_end_ends_its_container_first(detached: Detached) -> None:
    """What a shutdown of the machine does to every process."""
    container = detached("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    wait_for_output(container, b"ready")
    os.kill(container.state.monitor_pid, signal.SIGTERM)
    assert container.wait() == 3
    assert (container.status, container.logs()) == ("exited", b"ready\nbye\n")


def test_an_idle_monitor_is_small(detached: Detached) -> None:
    """Its own memory, beyond what it shares with the spawner: 4 MB with Python 3.11."""
    container = detached(SLEEPER)
    wait_for_output(container, b"ready")
    rollup = Path(f"/proc/{container.state.monitor_pid}/smaps_rollup").read_text()
    dirty = next(line for line in rollup.splitlines() if line.startswith("Private_Dirty"))
    assert int(dirty.split()[1]) < 7_000


def test_a_start_cut_short_can_be_tried_again(
    busybox: Engine, options: Callable[..., RunOptions]
) -> None:
    """As if its monitor had been killed between making the groups and the first state."""
    container = busybox.containers.create(options("echo fine"))
    if busybox.spawner.level() == "root":
        find_group(container.id).create(None, best_effort=False)
    container.paths.run.mkdir(parents=True)
    container.paths.socket.write_text("stale")
    container.paths.log.write_text('{"log":"half')
    container.start()
    assert container.wait() == 0
    assert container.logs().endswith(b"fine\n")
