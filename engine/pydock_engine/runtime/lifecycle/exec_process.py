"""`exec`: another process in a running container, in all its namespaces and groups."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from ... import errors
from ...oci.runtime import Process
from .. import capabilities, process, sync, syscalls
from ..execute import execute
from ..seccomp.program import flags_of, install, program_for
from ..steps import step
from . import console, joining, nodes
from .create import _write_pid, give_stdio
from .init import become_namespace_root, keep_descriptors, report, settle
from .program import check_program, with_home
from .state import CREATED, PAUSED, RUNNING, Container, Record


@dataclass(frozen=True)
class ExecOptions:
    """The flags of `exec` that are not part of the process."""

    console_socket: str = ""
    pid_file: str = ""
    preserve_fds: int = 0
    ignore_paused: bool = False


def execute_in(container: Container, wanted: Process, options: ExecOptions) -> int:
    """Starts `wanted`; returns its pid (a child of ours) once execve has worked.

    Raises Conflict when the container is not running, CommandNotFound …
    """
    record = container.record()
    status = container.status(record)
    if status not in (RUNNING, CREATED) and not (status == PAUSED and options.ignore_paused):
        raise errors.Conflict(f"cannot exec in a {status} container")
    terminal = None
    if wanted.terminal:
        if not options.console_socket:
            raise errors.UsageError("cannot allocate a terminal without --console-socket")
        terminal = console.connect_console(options.console_socket)
    capabilities.last()
    profile = record.spec.linux.seccomp
    filtered = None
    if profile is not None:
        filtered = program_for(profile, os.uname().machine), flags_of(profile)
    give_stdio(msgspec.structs.replace(record.spec, process=wanted))
    pid, channel = _clone(container, record, wanted, options, filtered)
    try:
        _accompany(pid, channel, wanted, terminal)
        if options.pid_file:
            _write_pid(Path(options.pid_file), pid)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        channel.close()
    return pid


def _clone(
    container: Container,
    record: Record,
    wanted: Process,
    options: ExecOptions,
    filtered: tuple[bytes, int] | None,
) -> tuple[int, sync.SyncChannel]:
    members, unified = container.groups(record).open_members()
    with step("open", f"/proc/{record.pid}/ns"):
        joined = joining.open_of(record.pid)
    ours, theirs = sync.SyncChannel.pair()
    pids = {kind: joined.pop(kind) for kind in ("pid", "time") if kind in joined}
    for kind, fd in pids.items():
        with step("setns", kind):
            syscalls.setns(fd, joining.KINDS[kind][1])
    with step("clone"):
        pid, pidfd = syscalls.clone(0, unified)
    if pid == 0:
        _run(theirs, wanted, joined, members, filtered, options.preserve_fds)
    for fd in (pidfd, *members, *joined.values(), *pids.values(), *([unified] if unified else [])):
        os.close(fd)
    theirs.close()
    return pid, ours


def _accompany(
    pid: int, channel: sync.SyncChannel, wanted: Process, terminal: socket.socket | None
) -> None:
    """Answers the new process until it has become its program."""
    while True:
        message, fds = channel.receive()
        if message is None:
            return
        if isinstance(message, sync.Failure):
            raise sync.error_of(message)
        if isinstance(message, sync.Reached) and message.stage == "born":
            if wanted.oom_score_adj is not None:
                with step("write", "oom_score_adj"):
                    Path(f"/proc/{pid}/oom_score_adj").write_text(str(wanted.oom_score_adj))
        elif terminal is not None:
            console.hand_over(terminal, fds[0])
            terminal.close()
        for fd in fds:
            os.close(fd)
        channel.send(sync.Proceed(pid))


def _run(
    channel: sync.SyncChannel,
    wanted: Process,
    joined: dict[str, int],
    members: list[int],
    filtered: tuple[bytes, int] | None,
    preserved_fds: int,
) -> NoReturn:
    gc.disable()
    try:
        for fd in members:
            with step("write", "cgroup.procs"):
                os.write(fd, b"0")
        channel.send(sync.Reached("born"))
        channel.receive()
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)  # CVE-2019-5736
        joining.join(joined)
        keep_descriptors(3 + preserved_fds, channel, None)
        process.new_session()
        if "user" in joined:
            become_namespace_root()
        if wanted.terminal:
            _take_terminal(channel, wanted)
        process.apply_limits(msgspec.structs.replace(wanted, oom_score_adj=None))
        settle(wanted, filtered)
        check_program(wanted)
        if filtered and wanted.no_new_privileges:
            install(*filtered)
        execute(with_home(wanted))
    except BaseException as error:
        report(channel, error)
    os._exit(125)


def _take_terminal(channel: sync.SyncChannel, wanted: Process) -> None:
    with step("open", "/dev/pts/ptmx"):
        master = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        slave = nodes.new_terminal(master, wanted.console_size)
    channel.send(sync.Reached("terminal"), (master,))
    channel.receive()
    os.close(master)
    nodes.take_terminal(slave, wanted.user.uid)
