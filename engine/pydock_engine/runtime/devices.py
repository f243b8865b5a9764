"""A container's /dev: the host's harmless devices, bound one by one, and the usual links.

Bound and not made with mknod, because a user namespace may not make devices; the same for all.
Source: runtime-spec config-linux.md, "Default Devices" and "Dev symbolic links".
"""

from __future__ import annotations

import os

from . import syscalls
from .syscalls import AT_FDCWD, OPEN_TREE_CLONE

NAMES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_KCORE = "/proc/kcore"


def populate(dev_fd: int) -> None:
    """Fills the fresh tmpfs `dev_fd` (an attached mount of this namespace)."""
    for name in NAMES:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=dev_fd))
        bind = syscalls.open_tree(AT_FDCWD, f"/dev/{name}", OPEN_TREE_CLONE)
        syscalls.move_mount(bind, dev_fd, name)
        os.close(bind)
    for name, target in LINKS:
        os.symlink(target, name, dir_fd=dev_fd)
    if os.path.exists(_KCORE):  # some kernels have none, and runc makes no link then
        os.symlink(_KCORE, "core", dir_fd=dev_fd)
