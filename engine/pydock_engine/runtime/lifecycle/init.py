"""Init of a bundle's container: from clone to the execve that `start` asks for.

    stage       what has happened                      what the parent does then
    born        namespaces are there, groups joined    writes id maps, opens mounts: Proceed
    mounted     the root is built                      prestart, createRuntime hooks: Proceed
    ready       `/` changed, rights dropped            writes state.json, goes away

Then init waits at a socket in the state folder; who connects hears of a failure, or that the
connection closed: execve has worked. It dies with nobody: its keeper is another program.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from ... import errors
from ...oci.runtime import Process, Spec
from .. import loopback, process, sync, syscalls
from ..execute import execute
from ..seccomp.program import install
from ..steps import step
from . import hooks, joining, nodes, rootfs
from .program import check_program, with_home
from .state import Record, for_hooks

_UNSHARED = ("mount", "network", "uts", "ipc")
_GONE = 125


@dataclass(frozen=True)
class Wishes:
    """Everything init is born with; it is a fork, so nothing has to be sent."""

    record: Record
    site: rootfs.Site
    joined: dict[str, int]
    members: Sequence[int]
    """`cgroup.procs` to write 0 to."""
    listener: socket.socket
    filter: tuple[bytes, int] | None
    preserved_fds: int
    pivot: bool
    new_keyring: bool

    @property
    def spec(self) -> Spec:
        return self.record.spec


def run(channel: sync.SyncChannel, wishes: Wishes) -> NoReturn:
    gc.disable()
    try:
        host_pid = _create(channel, wishes)
        connection, _ = socket.socket(fileno=4 + wishes.preserved_fds).accept()
    except BaseException as error:
        report(channel, error)
        os._exit(_GONE)
    try:
        _execute(wishes, host_pid)
    except BaseException as error:
        report(sync.SyncChannel(connection), error)
    os._exit(_GONE)


def report(channel: sync.SyncChannel, error: BaseException) -> None:
    """Sends `error` to whoever waits; nobody may be left to hear it."""
    if isinstance(error, OSError):
        error = errors.SyscallError.from_os_error("init", error, str(error.filename or ""))
    elif not isinstance(error, errors.PydockError):
        error = errors.ProtocolError(f"init failed: {type(error).__name__}: {error}")
    with contextlib.suppress(OSError):
        channel.send(sync.failure_of(error))


def _create(channel: sync.SyncChannel, wishes: Wishes) -> int:
    """Everything up to `ready`; returns what this process is called outside."""
    spec, site = wishes.spec, wishes.site
    _enter_namespaces(wishes)
    kept = 3 + wishes.preserved_fds
    keep_descriptors(kept, channel, wishes.listener)
    process.new_session(keyring=wishes.new_keyring)
    channel.send(sync.Reached("born"))
    host_pid, fds = _proceed(channel)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)  # CVE-2019-5736; not sooner, see runtime/init.py
    if "user" in site.new_namespaces or "user" in wishes.joined:
        become_namespace_root()
    _name_things(spec, site.new_namespaces)
    _take_mounts(site, fds)
    rootfs.build(site)
    terminal = _open_terminal(channel, wishes)
    channel.send(sync.Reached("mounted"))
    _proceed(channel)
    state = for_hooks(_seen_as(wishes.record, host_pid), "creating")
    hooks.run_hooks("createContainer", spec.hooks.create_container, state)
    _apply_sysctl(spec.linux.sysctl)
    rootfs.finish(site, pivot=wishes.pivot)
    if terminal is not None:
        nodes.take_terminal(terminal, spec.process.user.uid)
    process.apply_limits(msgspec.structs.replace(spec.process, oom_score_adj=None))
    settle(spec.process, wishes.filter)
    check_program(spec.process)
    channel.send(sync.Reached("ready"))
    channel.close()
    return host_pid


def settle(wanted: Process, filtered: tuple[bytes, int] | None) -> None:
    """Drops to the user of `wanted`, in its folder; the filter too unless it can come last."""
    if filtered and not wanted.no_new_privileges:
        install(*filtered)
    process.become(wanted)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    with step("chdir", wanted.cwd):
        os.chdir(wanted.cwd)
    with step("getcwd", wanted.cwd):
        os.getcwd()  # CVE-2024-21626


def _execute(wishes: Wishes, host_pid: int) -> NoReturn:
    spec = wishes.spec
    state = for_hooks(_seen_as(wishes.record, host_pid), "created")
    hooks.run_hooks("startContainer", spec.hooks.start_container, state)
    if wishes.filter and spec.process.no_new_privileges:
        install(*wishes.filter)
    execute(with_home(spec.process))


def _enter_namespaces(wishes: Wishes) -> None:
    for fd in wishes.members:
        with step("write", "cgroup.procs"):
            os.write(fd, b"0")
    joined = {kind: fd for kind, fd in wishes.joined.items() if kind not in ("pid", "time")}
    joining.join(joined)
    flags = 0
    for kind in wishes.site.new_namespaces.intersection(_UNSHARED):
        flags |= joining.KINDS[kind][1]
    with step("unshare", ", ".join(sorted(wishes.site.new_namespaces))):
        syscalls.unshare(flags)


def keep_descriptors(kept: int, channel: sync.SyncChannel, listener: socket.socket | None) -> None:
    """Descriptors below `kept` stay, the channel and the listener come next, and no more
    (CVE-2024-21626).
    """
    if listener is None:
        channel.move_to(kept)
        syscalls.close_range(kept + 1)
        return
    aside = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, kept + 2)
    channel.move_to(fcntl.fcntl(channel.fileno(), fcntl.F_DUPFD_CLOEXEC, kept + 2))
    channel.move_to(kept)
    os.dup2(aside, kept + 1, inheritable=False)
    syscalls.close_range(kept + 2)


def become_namespace_root() -> None:
    with step("setresuid", "0"):
        with contextlib.suppress(PermissionError):
            os.setgroups(())
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def _name_things(spec: Spec, new: frozenset[str]) -> None:
    if "network" in new:
        with step("ioctl", "lo"):
            loopback.bring_up()
    if spec.hostname:
        with step("sethostname", spec.hostname):
            syscalls.sethostname(spec.hostname)
    if spec.domainname:
        with step("setdomainname", spec.domainname):
            syscalls.setdomainname(spec.domainname)
    if "cgroup" in new:
        with step("unshare", "cgroup"):
            syscalls.unshare(syscalls.CLONE_NEWCGROUP)


def _take_mounts(site: rootfs.Site, fds: list[int]) -> None:
    """The mounts the parent has opened, or (an ordinary user) opens them here."""
    if fds:
        indices = [i for i, mount in enumerate(site.spec.mounts) if rootfs.is_bind(mount)]
        site.root_fd = fds[0]
        site.binds = dict(zip(indices, fds[1:], strict=True))
    else:
        site.root_fd = rootfs.open_root(site.spec, site.spec.root.path)


def _open_terminal(channel: sync.SyncChannel, wishes: Wishes) -> int | None:
    wanted = wishes.spec.process
    if not wanted.terminal:
        return None
    master, slave = nodes.open_terminal(wishes.site.root_fd, wanted.console_size)
    channel.send(sync.Reached("terminal"), (master,))
    _proceed(channel)
    os.close(master)
    return slave


def _apply_sysctl(settings: dict[str, str]) -> None:
    """Through the host's /proc, which shows each process its own namespaces."""
    for name, value in settings.items():
        with step("sysctl", name):
            if ".." in name:
                raise errors.UsageError(f"sysctl {name}: no such setting")
            path = "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)


def _proceed(channel: sync.SyncChannel) -> tuple[int, list[int]]:
    message, fds = channel.receive()
    if message is None:
        os._exit(_GONE)  # the parent died
    if not isinstance(message, sync.Proceed):
        raise errors.ProtocolError(f"init expected Proceed, {type(message).__name__} came")
    return message.pid, fds


def _seen_as(record: Record, host_pid: int) -> Record:
    return msgspec.structs.replace(record, pid=host_pid)
