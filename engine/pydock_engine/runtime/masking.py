"""Hides and locks paths below /proc and /sys, by descriptor.

A path that this kernel lacks is skipped: there is nothing to hide. One that turns out to be a
symlink is refused, since the files below /proc and /sys named here never are one.
"""

from __future__ import annotations

import os
import stat

from . import syscalls
from .filesystems import MountOptions, new_filesystem
from .syscalls import (
    AT_RECURSIVE,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    OPEN_TREE_CLONE,
    RESOLVE_NO_SYMLINKS,
)
from .targets import open_inside

_EMPTY = MountOptions(
    attributes=MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    data=(("mode", "555"),),
)


def mask(root_fd: int, paths: tuple[str, ...]) -> None:
    """Files show as /dev/null, folders as empty. To be called while the host's /dev is there:
    a container's own /dev/null could be something else by now (CVE-2025-31133).
    """
    empty: int | None = None
    null = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
    for path in paths:
        target = _existing(root_fd, path)
        if target is None:
            continue
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            _cover(target, null)
        elif empty is None:
            # Before 6.15 only an attached mount may be copied: the first place gets the original.
            empty = new_filesystem("tmpfs", _EMPTY, "tmpfs")
            syscalls.move_mount(empty, target)
        else:
            _cover(target, empty)
        os.close(target)
    os.close(null)
    if empty is not None:
        os.close(empty)


def make_readonly(root_fd: int, paths: tuple[str, ...]) -> None:
    """Binds each path on itself, read-only (what is mounted below included)."""
    for path in paths:
        target = _existing(root_fd, path)
        if target is None:
            continue
        copy = syscalls.open_tree(target, "", _CLONE_TREE)
        syscalls.mount_setattr(copy, attr_set=MOUNT_ATTR_RDONLY, recursive=True)
        syscalls.move_mount(copy, target)
        os.close(copy)
        os.close(target)


_CLONE_TREE = OPEN_TREE_CLONE | AT_RECURSIVE | syscalls.AT_EMPTY_PATH


def _existing(root_fd: int, path: str) -> int | None:
    try:
        return open_inside(root_fd, path, resolve=RESOLVE_NO_SYMLINKS)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _cover(target: int, source: int) -> None:
    copy = syscalls.open_tree(source, "", OPEN_TREE_CLONE | syscalls.AT_EMPTY_PATH)
    syscalls.move_mount(copy, target)
    os.close(copy)
