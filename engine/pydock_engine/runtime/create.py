"""The parent's side of a new container: clone init, hand it what it needs, start it.

    init = clone_init(namespaces, maps, stdio=…)     namespaces exist, nothing is mounted yet
    init.userns_fd                                   to id-map the root and the bind mounts with
    init.create(spec, rootfs_fd=…)                   init builds its root, pivots, drops, waits
    init.start()                                     execve of the user's program

One object, because the root can only be mounted for a user namespace that exists, and the
specification can only be completed (users, groups) once the root is mounted.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from ..oci.runtime import IdMapping, Spec


@dataclass(frozen=True)
class Stdio:
    """Three descriptors for the container's 0, 1 and 2. They stay the caller's: close your copies
    once `clone_init` has returned.
    """

    stdin: int
    stdout: int
    stderr: int


class InitProcess:
    """A container's first process, from clone to exit. Owns the pidfd and the way to talk to it.

    `pid` is in the caller's pid namespace. Waiting is the caller's:
    `os.waitid(os.P_PIDFD, init.pidfd, os.WEXITED)`, with `pidfd` readable in epoll at exit.
    """

    pid: int
    pidfd: int
    userns_fd: int | None
    """Its user namespace, or None when it shares the caller's."""

    def create(self, spec: Spec, *, rootfs_fd: int, bundle: str = "/") -> None:
        """Builds the container as `spec` says, on the detached mount `rootfs_fd` (closed here).

        Returns when init has pivoted and dropped its privileges: all that is left is `start`.
        Raises SyscallError (with the step), UsageError, Unsupported; init is then gone.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Executes the program; returns when execve has succeeded.

        Raises CommandNotFound (127), CommandNotExecutable (126) or SyscallError; init is then gone.
        """
        raise NotImplementedError

    def send_signal(self, number: int) -> None:
        """Sends a signal to init; nothing happens when it has already ended."""
        signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """SIGKILL to init, and so (pid namespace) to everything inside; waits for nothing."""

    def close(self) -> None:
        """Closes the descriptors. Init itself lives on (it dies with the process that cloned it)."""
        os.close(self.pidfd)

    def __enter__(self) -> InitProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def clone_init(
    namespaces: Iterable[str],
    *,
    uid_mappings: tuple[IdMapping, ...] = (),
    gid_mappings: tuple[IdMapping, ...] = (),
    stdio: Stdio,
) -> InitProcess:
    """A new process in new `namespaces` (runtime-spec names: pid, network, mount, user, …).

    The caller must be single-threaded and in a mount namespace whose mounts are not shared.
    """
    raise NotImplementedError
