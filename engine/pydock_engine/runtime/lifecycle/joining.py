"""Namespaces that exist already: the ones a document names by path, or those of a process."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ... import errors
from ...oci.runtime import Namespace
from .. import syscalls

KINDS = {
    "user": ("user", syscalls.CLONE_NEWUSER),
    "cgroup": ("cgroup", syscalls.CLONE_NEWCGROUP),
    "ipc": ("ipc", syscalls.CLONE_NEWIPC),
    "uts": ("uts", syscalls.CLONE_NEWUTS),
    "network": ("net", syscalls.CLONE_NEWNET),
    "pid": ("pid", syscalls.CLONE_NEWPID),
    "time": ("time", syscalls.CLONE_NEWTIME),
    "mount": ("mnt", syscalls.CLONE_NEWNS),
}
"""runtime-spec's names: what /proc/PID/ns calls them, and the flag. Mounts come last."""


def open_named(namespaces: Iterable[Namespace]) -> dict[str, int]:
    """Descriptors of those with a path. Raises UsageError for a path that is none of its kind."""
    opened: dict[str, int] = {}
    for namespace in namespaces:
        if namespace.type not in KINDS:
            raise errors.UsageError(f"unknown kind of namespace {namespace.type!r}")
        if namespace.path:
            try:
                opened[namespace.type] = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise errors.UsageError(
                    f"namespace {namespace.path}: {os.strerror(error.errno or 0).lower()}"
                ) from error
    return opened


def open_of(pid: int) -> dict[str, int]:
    """Descriptors of the namespaces of process `pid` that are not ours. Raises OSError."""
    opened: dict[str, int] = {}
    for kind, (name, _flag) in KINDS.items():
        ours = os.stat(f"/proc/self/ns/{name}")
        theirs = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        if os.path.samestat(os.fstat(theirs), ours):
            os.close(theirs)
        else:
            opened[kind] = theirs
    return opened


def join(opened: dict[str, int]) -> None:
    """Enters them (of pids only our children do); closes the descriptors.

    Those the caller's own rights suffice for come first; what is left belongs to the user
    namespace. Mounts come last.
    """
    waiting = [kind for kind in KINDS if kind in opened and kind not in ("user", "mount")]
    left = [kind for kind in waiting if not _try(kind, opened[kind])]
    for kind in [kind for kind in ("user",) if kind in opened] + left:
        _enter(kind, opened[kind])
    if "mount" in opened:
        _enter("mount", opened["mount"])
    for fd in opened.values():
        os.close(fd)


def _try(kind: str, fd: int) -> bool:
    try:
        syscalls.setns(fd, KINDS[kind][1])
    except PermissionError:
        return False
    return True


def _enter(kind: str, fd: int) -> None:
    try:
        syscalls.setns(fd, KINDS[kind][1])
    except OSError as error:
        raise errors.SyscallError.from_os_error("setns", error, kind) from error
