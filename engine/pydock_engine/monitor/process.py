"""A monitor's life, from the spawner's fork to its exit.

Whatever happens is on disk before anybody is told of it. Killed at any line, it takes the container
with it (PR_SET_PDEATHSIG of init, and the mounts go with its namespace); its lock is free then, and
what it left is found by `Containers`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from dataclasses import dataclass

from .. import errors
from ..container.launch import Launched, launch
from ..container.plan import read_plan
from ..container.records import ContainerState
from ..container.signals import stop_signal
from ..paths import ContainerPaths, Paths
from ..protocol.channel import Channel, Listener, failed
from ..protocol.messages import StartContainer, Started
from ..runtime import syscalls
from ..runtime.cgroups.group import find_group
from ..runtime.create import Stdio
from . import ending
from . import state as states
from .clock import now
from .ending import Kept
from .lock import lock_to_start
from .log import LogWriter
from .loop import MonitorLoop, kill_and_reap


@dataclass(frozen=True)
class Running:
    """What became of a plan: a program that runs, and our ends of its pipes."""

    launched: Launched
    outputs: dict[int, str]
    namespaces: tuple[int, ...]
    """Descriptors that keep them in being; see `_hold_namespaces`."""


def run_monitor(
    paths: Paths, request: StartContainer, channel: Channel, stdin: int | None, level: str
) -> None:
    """Starts the container and keeps it until its end; answers `channel` all along.

    To be called by a single-threaded process with a session of its own.
    """
    syscalls.set_name("pydock-monitor")
    own = paths.container(request.container_id)
    try:
        lock = lock_to_start(own, request.container_id)
    except errors.PydockError as error:
        channel.send(failed(error))
        return
    kept: Kept | None = None
    try:
        kept = _open(paths, own, lock)
        running = _start(kept, stdin, level)
    except Exception as error:
        told = _as_error(error)
        ending.record_failure(own, kept, told)
        os.close(lock)
        channel.send(failed(told))
        return
    _keep(kept, running, channel, attach=request.attach)


def _open(paths: Paths, own: ContainerPaths, lock: int) -> Kept:
    """Reads the plan, makes the run folder, listens; clears what a killed monitor has left."""
    plan = read_plan(own)
    if states.read_recorded(own).status in ("running", "dead"):
        find_group(plan.record.id).remove()
    own.run.parent.mkdir(mode=0o700, exist_ok=True)
    own.run.mkdir(mode=0o700, exist_ok=True)
    return Kept(paths, own, plan, lock, LogWriter(own.log), Listener(own.socket))


def _start(kept: Kept, stdin: int | None, level: str) -> Running:
    """The running program. On an error nothing of it is left."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
    read_out, write_out = os.pipe2(os.O_CLOEXEC)
    read_err, write_err = os.pipe2(os.O_CLOEXEC)
    source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if stdin is None else stdin
    try:
        stdio = Stdio(source, write_out, write_err)
        launched = launch(kept.plan, paths=kept.paths, level=level, stdio=stdio)
    finally:
        for fd in (source, write_out, write_err):
            os.close(fd)
    held = _hold_namespaces(launched.init.pid) if kept.is_of_one_use else ()
    try:
        launched.init.start()
    except BaseException:
        kill_and_reap(launched.init, launched.cgroup)
        launched.cgroup.remove()
        raise
    return Running(launched, {read_out: "stdout", read_err: "stderr"}, held)


def _hold_namespaces(pid: int) -> tuple[int, ...]:
    """Keeps a container's mounts and network in being a moment beyond its end.

    Taking them apart costs the kernel 2 ms, before init counts as ended unless somebody else
    still holds them. Whoever waits for a container of one use need not wait for that. (One that
    may be started again must: its overlay cannot be mounted twice.)
    """
    try:
        return tuple(
            os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("mnt", "net")
        )
    except OSError:  # rootless: init cannot be looked into; it only ends a little later
        return ()


def _keep(kept: Kept, running: Running, channel: Channel, *, attach: bool) -> None:
    """From the start of the program to the last client."""
    started = time.monotonic()
    launched, record = running.launched, kept.plan.record
    state = _running_state(launched)
    loop = MonitorLoop(
        init=launched.init,
        cgroup=launched.cgroup,
        log=kept.log,
        outputs=running.outputs,
        listener=kept.listener,
        stop_signals=(stop_signal(record.options, kept.plan.image_config),),
    )
    states.write(kept.own, state)
    loop.add(channel, attach=attach)
    with contextlib.suppress(OSError):  # a client that has gone need not be told
        channel.send(
            Started(
                pid=launched.init.pid,
                isolation=launched.isolation,
                not_applied=launched.not_applied,
            )
        )
    end = ending.Ending(kept)
    ended = loop.run(record.options.timeout_s)
    final = ending.final_state(state, ended, launched, kept.log, time.monotonic() - started)
    end.record(launched, final)
    loop.tell(ending.exited(final))
    for fd in running.namespaces:
        os.close(fd)
    loop.settle()


def _running_state(launched: Launched) -> ContainerState:
    return ContainerState(
        status="running",
        pid=launched.init.pid,
        pid_started=states.start_time(launched.init.pid),
        monitor_pid=os.getpid(),
        monitor_started=states.start_time(os.getpid()),
        boot_id=states.boot_id(),
        started_at=now(),
        isolation=launched.isolation,
        not_applied=launched.not_applied,
    )


def _as_error(error: Exception) -> errors.PydockError:
    if isinstance(error, errors.PydockError):
        return error
    traceback.print_exc(file=sys.stderr)
    if isinstance(error, OSError):
        return errors.SyscallError.from_os_error("start of the container", error)
    return errors.ProtocolError(
        f"the monitor failed: {type(error).__name__}: {error}",
        way_out="the traceback is in spawner.log in the run directory",
    )
