"""Init: the container's first process, from clone to execve of the user's program.

Runs in a forked copy of its parent: it imports nothing, allocates little, and never returns.
Whatever goes wrong goes back over the channel as data; its stderr is the user's.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Sequence
from typing import NoReturn

from .. import errors
from ..oci.runtime import Process
from . import loopback, process, root, sync, syscalls
from .execute import execute
from .seccomp.program import install
from .steps import step

_CHANNEL_FD = 3
_UNSHARED_AT_ONCE = {
    "mount": syscalls.CLONE_NEWNS,
    "network": syscalls.CLONE_NEWNET,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
}
_GONE = 125


def run(
    channel: sync.SyncChannel,
    stdio: tuple[int, int, int],
    namespaces: frozenset[str],
    groups: Sequence[int],
) -> NoReturn:
    """Everything init does. Of `namespaces` it was born into those of users and pids; `groups` are
    the `cgroup.procs` it has yet to join.
    """
    gc.disable()  # a collection would only copy the pages we share with our parent
    try:
        _life(channel, stdio, namespaces, groups)
    except errors.PydockError as error:
        _report(channel, error)
    except OSError as error:
        _report(
            channel, errors.SyscallError.from_os_error("init", error, str(error.filename or ""))
        )
    except BaseException as error:
        _report(channel, errors.ProtocolError(f"init failed: {type(error).__name__}: {error}"))
    os._exit(_GONE)


def _report(channel: sync.SyncChannel, error: errors.PydockError) -> None:
    with contextlib.suppress(OSError):  # the parent is gone; nobody is left to tell
        channel.send(sync.failure_of(error))


def _life(
    channel: sync.SyncChannel,
    stdio: tuple[int, int, int],
    namespaces: frozenset[str],
    groups: Sequence[int],
) -> None:
    _die_with_parent()
    _unshare(namespaces)
    for fd in groups:
        with step("write", "cgroup.procs"):
            os.write(fd, b"0")
    _keep_only(channel, stdio)
    process.new_session()
    _expect(channel, sync.Mapped)
    # Not reachable through /proc/1 while it still maps the host's interpreter (CVE-2019-5736).
    # Not sooner: an ordinary user could not write the maps of a process it may not inspect.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    if "user" in namespaces:
        _become_namespace_root()
    if "network" in namespaces:
        with step("ioctl", "lo"):
            loopback.bring_up()
    setup, fds = _expect(channel, sync.Setup)
    spec = setup.spec
    if spec.hostname and "uts" in namespaces:
        with step("sethostname"):
            syscalls.sethostname(spec.hostname)
    own_groups = _unshare_groups() if "cgroup" in namespaces else ""
    process.apply_limits(spec.process)
    binds = dict(zip(setup.binds, fds[1:], strict=True))
    root.build(spec, root.Parts(fds[0], binds, own_groups))
    if setup.filter and not spec.process.no_new_privileges:
        # Takes CAP_SYS_ADMIN, which `_enter` may drop; the rest of init runs under it.
        install(setup.filter, setup.filter_flags)
    _enter(spec.process)
    channel.send(sync.Ready())
    _expect(channel, sync.Start)
    if setup.filter and spec.process.no_new_privileges:
        install(setup.filter, setup.filter_flags)
    execute(spec.process)


def _unshare(namespaces: frozenset[str]) -> None:
    flags = 0
    for name in namespaces & _UNSHARED_AT_ONCE.keys():
        flags |= _UNSHARED_AT_ONCE[name]
    with step("unshare", ", ".join(sorted(namespaces))):
        syscalls.unshare(flags)


def _unshare_groups() -> str:
    """Our groups become the roots of a new namespace; returns what they were called before."""
    with step("unshare", "cgroup"):
        fd = os.open("/proc/self/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        text = os.read(fd, 65536).decode()
        os.close(fd)
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    return text


def _die_with_parent() -> None:
    # Cleared by every change of ids, so set again later. Should the parent die in between, the
    # next read of the channel finds the end of file.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def _keep_only(channel: sync.SyncChannel, stdio: tuple[int, int, int]) -> None:
    """Descriptors 0-2 as given, 3 the channel, nothing else (CVE-2024-21626)."""
    lifted = [os.dup(fd) if fd < 3 else fd for fd in stdio]
    if channel.fileno() <= _CHANNEL_FD:
        channel.move_to(os.dup(channel.fileno()))
    for number, fd in enumerate(lifted):
        os.dup2(fd, number)
    channel.move_to(_CHANNEL_FD)
    syscalls.close_range(_CHANNEL_FD + 1)


def _become_namespace_root() -> None:
    with step("setresuid", "0"):
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    _die_with_parent()
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def _enter(wanted: Process) -> None:
    process.become(wanted)
    _die_with_parent()
    with step("chdir", wanted.cwd):
        os.chdir(wanted.cwd)
    with step("getcwd", wanted.cwd):
        os.getcwd()  # fails for a folder outside the root, however one got there


def _expect(
    channel: sync.SyncChannel, kind: type[sync.Expected]
) -> tuple[sync.Expected, list[int]]:
    message, fds = channel.receive()
    if message is None:
        os._exit(_GONE)  # the parent died
    if not isinstance(message, kind):
        raise errors.ProtocolError(f"init expected {kind.__name__}, {type(message).__name__} came")
    return message, fds
