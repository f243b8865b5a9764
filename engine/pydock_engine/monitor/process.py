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

import msgspec

from .. import errors
from ..container.launch import Launched, launch
from ..container.plan import Plan, read_plan
from ..container.records import ContainerState
from ..container.signals import stop_signal
from ..layer.remove import remove_trees
from ..paths import ContainerPaths, Paths
from ..protocol.channel import Channel, Listener, failed
from ..protocol.messages import Exited, RemoveTrees, StartContainer, Started
from ..runtime import syscalls
from ..runtime.cgroups.group import find_group
from ..runtime.create import Stdio
from ..store.containers import ContainerStore
from ..store.database import Database
from . import state as states
from .clock import now
from .lock import lock_container
from .log import LogWriter
from .loop import Ended, MonitorLoop, kill_and_reap


@dataclass(frozen=True)
class Kept:
    """One container and where it lies: what the steps below hand to each other."""

    paths: Paths
    own: ContainerPaths
    plan: Plan
    lock: int
    log: LogWriter
    listener: Listener

    @property
    def id(self) -> str:
        return self.plan.record.id


def run_monitor(
    paths: Paths, request: StartContainer, channel: Channel, stdin: int | None, level: str
) -> None:
    """Starts the container and keeps it until its end; answers `channel` all along."""
    os.setsid()
    syscalls.set_name("pydock-monitor")
    own = paths.container(request.container_id)
    try:
        lock = lock_container(own, request.container_id)
    except errors.PydockError as error:
        channel.send(failed(error))
        return
    kept: Kept | None = None
    try:
        kept = _open(paths, own, lock)
        launched, outputs = _start(kept, stdin, level)
    except Exception as error:
        told = _as_error(error)
        _record_failure(paths, own, kept, told)
        os.close(lock)
        channel.send(failed(told))
        return
    _keep(kept, launched, outputs, channel, attach=request.attach)


def _open(paths: Paths, own: ContainerPaths, lock: int) -> Kept:
    """Reads the plan, makes the run folder, listens; clears what a killed monitor has left."""
    plan = read_plan(own)
    if states.read_recorded(own).status in ("running", "dead"):
        find_group(plan.record.id).remove()
    own.run.parent.mkdir(mode=0o700, exist_ok=True)
    own.run.mkdir(mode=0o700, exist_ok=True)
    return Kept(paths, own, plan, lock, LogWriter(own.log), Listener(own.socket))


def _start(kept: Kept, stdin: int | None, level: str) -> tuple[Launched, dict[int, str]]:
    """The running container, and our ends of its pipes. On an error nothing of it is left."""
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
    try:
        launched.init.start()
    except BaseException:
        kill_and_reap(launched.init, launched.cgroup)
        launched.cgroup.remove()
        raise
    return launched, {read_out: "stdout", read_err: "stderr"}


def _keep(
    kept: Kept, launched: Launched, outputs: dict[int, str], channel: Channel, *, attach: bool
) -> None:
    """From the start of the program to the last client."""
    started = time.monotonic()
    options = kept.plan.record.options
    running = _running_state(launched)
    loop = MonitorLoop(
        init=launched.init,
        cgroup=launched.cgroup,
        log=kept.log,
        outputs=outputs,
        listener=kept.listener,
        stop_signals=(stop_signal(options, kept.plan.image_config),),
    )
    states.write(kept.own, running)
    loop.add(channel, attach=attach)
    with contextlib.suppress(OSError):  # a client that has gone need not be told
        channel.send(
            Started(
                pid=launched.init.pid,
                isolation=launched.isolation,
                not_applied=launched.not_applied,
            )
        )
    ended = loop.run(options.timeout_s)
    final = _final_state(running, ended, launched, kept.log, time.monotonic() - started)
    _record_end(kept, launched, final)
    loop.settle(_exited(final))


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


def _final_state(
    running: ContainerState, ended: Ended, launched: Launched, log: LogWriter, duration_s: float
) -> ContainerState:
    return msgspec.structs.replace(
        running,
        status="exited",
        pid=0,
        exit_code=ended.exit_code,
        oom_killed=launched.cgroup.oom_kills() > 0,
        timed_out=ended.timed_out,
        error=f"the log is incomplete: {log.failed}" if log.failed else "",
        finished_at=now(),
        duration_s=duration_s,
    )


def _exited(final: ContainerState) -> Exited:
    return Exited(
        exit_code=final.exit_code,
        oom_killed=final.oom_killed,
        timed_out=final.timed_out,
        started_at=final.started_at,
        finished_at=final.finished_at,
        duration_s=final.duration_s,
        error=final.error,
    )


def _record_end(kept: Kept, launched: Launched, final: ContainerState) -> None:
    """Puts the end on disk, or with --rm everything away; then it can be started again."""
    launched.cgroup.remove()
    launched.init.close()
    if kept.plan.record.options.rm:
        _remove(kept.paths, kept.own, kept.id)
    else:
        states.write(kept.own, final)
        _remove_run(kept.own)
    os.close(kept.lock)


def _record_failure(
    paths: Paths, own: ContainerPaths, kept: Kept | None, error: errors.PydockError
) -> None:
    """A container that could not start stays as created, with the reason; --rm removes it."""
    if kept is not None and kept.plan.record.options.rm:
        _remove(paths, own, kept.id)
        return
    reason = ContainerState(status="created", exit_code=error.exit_status, error=error.message)
    with contextlib.suppress(errors.PydockError):
        states.write(own, reason)
    _remove_run(own)


def _remove(paths: Paths, own: ContainerPaths, container_id: str) -> None:
    """Row first: a folder without a row is a leftover anybody may clear."""
    database = Database(paths.database)
    ContainerStore(database).remove(container_id)
    database.close()
    remove_trees(RemoveTrees(paths=(str(own.base), str(own.run))), lambda *_: None)


def _remove_run(own: ContainerPaths) -> None:
    remove_trees(RemoveTrees(paths=(str(own.run),)), lambda *_: None)


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
