"""The parent's side of a new container: clone init, hand it what it needs, start it.

    init = clone_init(namespaces, maps, stdio=…)     namespaces exist, nothing is mounted yet
    init.userns                                      to id-map the root and the bind mounts with
    init.create(spec, rootfs_fd=…)                   init builds its root, pivots, drops, waits
    init.start()                                     execve of the user's program

One object, because the root can only be mounted for a user namespace that exists, and the
specification can only be completed (users, groups) once the root is mounted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

import msgspec

from .. import errors
from ..oci.runtime import IdMapping, Spec
from . import capabilities, idmap, sync, syscalls
from . import init as init_module
from .cgroups.group import Cgroup
from .filesystems import open_bind, parse_options
from .seccomp.program import flags_of, program_for
from .steps import step

_CLONE_FLAGS = {"user": syscalls.CLONE_NEWUSER, "pid": syscalls.CLONE_NEWPID}
"""What init must be born into; the others (a network costs 0.7 ms) it makes itself, while its
parent mounts the root.
"""


@dataclass(frozen=True)
class Stdio:
    """Three descriptors for the container's 0, 1 and 2. They stay the caller's: close your copies
    once `InitProcess.create` has returned.
    """

    stdin: int
    stdout: int
    stderr: int


class InitProcess:
    """A container's first process, from clone to exit. Owns the pidfd and the way to talk to it.

    `pid` is in the caller's pid namespace. Waiting is the caller's:
    `os.waitid(os.P_PIDFD, init.pidfd, os.WEXITED)`, with `pidfd` readable in epoll at exit.
    """

    def __init__(
        self,
        pid: int,
        pidfd: int,
        channel: sync.SyncChannel,
        stdio: Stdio,
        uid_mappings: tuple[IdMapping, ...],
        gid_mappings: tuple[IdMapping, ...],
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.userns: idmap.UserNamespace | None = None
        """Its user namespace, or None when it shares the caller's. Closed by `create`."""
        self._channel = channel
        self._stdio = stdio
        self._mappings = uid_mappings, gid_mappings

    def create(
        self, spec: Spec, *, rootfs_fd: int, meanwhile: Callable[[], None] | None = None
    ) -> None:
        """Builds the container as `spec` says, on the detached mount `rootfs_fd` (closed here).

        `meanwhile` is called while init works; `create` would only wait then.

        Returns when init has pivoted and dropped its privileges: all that is left is `start`.
        Raises SyscallError (with the step), UsageError, Unsupported; init is then gone.
        """
        fds = [rootfs_fd]
        try:
            _refuse_unknown(spec)
            indices = [i for i, m in enumerate(spec.mounts) if parse_options(m.options).bind]
            if len(indices) >= sync.MAX_FDS:
                raise errors.UsageError(f"{len(indices)} bind mounts: at most {sync.MAX_FDS - 1}")
            fds += [open_bind(spec.mounts[index], self.userns) for index in indices]
            self._give_stdio(spec)
            self._send(_setup(spec, tuple(indices)), tuple(fds))
            if meanwhile is not None:
                meanwhile()
            self._expect_ready()
        except BaseException:
            self.kill()
            raise
        finally:
            for fd in fds:
                os.close(fd)
            self._close_userns()

    def start(self) -> None:
        """Executes the program; returns when execve has succeeded.

        Raises CommandNotFound (127), CommandNotExecutable (126) or SyscallError; init is then gone.
        """
        try:
            self._send(sync.Start())
            answer, _ = self._channel.receive()
            if isinstance(answer, sync.Failure):
                raise sync.error_of(answer)
        except BaseException:
            self.kill()
            raise
        finally:
            self._channel.close()

    def send_signal(self, number: int) -> None:
        """Sends a signal to init; nothing happens when it has already ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """SIGKILL to init, and so (pid namespace) to everything inside; waits for nothing."""
        self.send_signal(signal.SIGKILL)

    def discard(self) -> None:
        """Kills, reaps and closes: for an init that will not be used."""
        self.kill()
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        self.close()

    def close(self) -> None:
        """Closes the descriptors; init lives on (it dies with the process that cloned it)."""
        self._channel.close()
        self._close_userns()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def __enter__(self) -> InitProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def map_ids(self) -> None:
        """Writes the id maps and lets init go on; part of `clone_init`."""
        if self._mappings[0]:
            with step("write", "uid_map"):
                idmap.write_maps(self.pid, *self._mappings)
            self.userns = idmap.UserNamespace(
                os.open(f"/proc/{self.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC),
                idmap.to_host(self._mappings[0], 0),
                idmap.to_host(self._mappings[1], 0),
            )
        self._send(sync.Mapped())

    def _give_stdio(self, spec: Spec) -> None:
        """Makes the user own the pipes, so that opening /dev/stdout works for it as well."""
        user = spec.process.user
        uid = idmap.to_host(self._mappings[0], user.uid)
        gid = idmap.to_host(self._mappings[1], user.gid)
        for fd in {self._stdio.stdin, self._stdio.stdout, self._stdio.stderr}:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                with step("fchown", "stdio"):
                    os.fchown(fd, uid, gid)

    def _send(self, message: sync.SyncMessage, fds: tuple[int, ...] = ()) -> None:
        try:
            self._channel.send(message, fds)
        except OSError:
            # Init has ended; what it said before is still to be read, and tells more.
            self._expect_ready()

    def _expect_ready(self) -> None:
        answer, _ = self._channel.receive()
        if isinstance(answer, sync.Failure):
            raise sync.error_of(answer)
        if not isinstance(answer, sync.Ready):
            came = "nothing" if answer is None else type(answer).__name__
            raise errors.ProtocolError(f"init ended before it was ready ({came} came)")

    def _close_userns(self) -> None:
        if self.userns is not None:
            os.close(self.userns.fd)
            self.userns = None


def clone_init(
    namespaces: Iterable[str],
    *,
    uid_mappings: tuple[IdMapping, ...] = (),
    gid_mappings: tuple[IdMapping, ...] = (),
    stdio: Stdio,
    cgroup: Cgroup | None = None,
) -> InitProcess:
    """A new process in new `namespaces` (runtime-spec names: pid, network, mount, user, …) and in
    the groups of `cgroup`.

    The caller must be single-threaded. It reaps the process, also after an error of `create`.
    """
    wanted = frozenset(namespaces)
    if "mount" not in wanted:
        raise errors.Unsupported("a container without a mount namespace of its own")
    flags = 0
    for name in wanted & _CLONE_FLAGS.keys():
        flags |= _CLONE_FLAGS[name]
    capabilities.last()  # remembered here, so that init need not open a file for it
    unified = cgroup.open_unified() if cgroup else None
    groups = cgroup.open_v1() if cgroup else []
    ours, theirs = sync.SyncChannel.pair()
    try:
        with step("clone", ", ".join(sorted(wanted))):
            pid, pidfd = syscalls.clone(flags, unified)
        if pid == 0:
            init_module.run(theirs, (stdio.stdin, stdio.stdout, stdio.stderr), wanted, groups)
    finally:
        theirs.close()
        for fd in groups + ([] if unified is None else [unified]):
            os.close(fd)
    init = InitProcess(pid, pidfd, ours, stdio, uid_mappings, gid_mappings)
    try:
        init.map_ids()
    except BaseException:
        init.discard()
        raise
    return init


def _setup(spec: Spec, binds: tuple[int, ...]) -> sync.Setup:
    """Compiled here, where the program may be remembered; init is not sent the profile as well."""
    profile = spec.linux.seccomp
    if profile is None:
        return sync.Setup(spec, binds)
    linux = msgspec.structs.replace(spec.linux, seccomp=None)
    return sync.Setup(
        msgspec.structs.replace(spec, linux=linux),
        binds,
        program_for(profile, os.uname().machine),
        flags_of(profile),
    )


def _refuse_unknown(spec: Spec) -> None:
    """Nothing asked for is silently not done."""
    if spec.process.terminal:
        raise errors.Unsupported("a terminal for the container's process is not supported yet")
    names = {namespace.type for namespace in spec.linux.namespaces}
    if "cgroup" not in names and any(mount.type == "cgroup" for mount in spec.mounts):
        raise errors.Unsupported("a mount of cgroups without a cgroup namespace")
    for namespace in spec.linux.namespaces:
        if namespace.path:
            raise errors.Unsupported(f"joining the {namespace.type} namespace at {namespace.path}")
