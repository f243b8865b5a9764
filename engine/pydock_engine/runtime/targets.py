"""Places inside a container's root, as descriptors: found, or made, without ever leaving it.

Every path goes through openat2 with RESOLVE_IN_ROOT, so symlinks of an image (absolute, `..`,
dangling, or swapped by another container that shares a volume) end inside the root. What is
mounted is mounted on the descriptor, never on the path a second time (CVE-2021-30465).
"""

from __future__ import annotations

import errno
import os
import stat

from .. import errors
from .syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_MAX_REWRITES = 40
"""As many dangling symlinks as the kernel follows live ones (MAXSYMLINKS)."""


def open_inside(root_fd: int, path: str, flags: int = os.O_PATH, resolve: int = 0) -> int:
    """What `path` is inside `root_fd`; raises OSError as open(2) does."""
    while True:
        try:
            return openat2(root_fd, path, flags, 0, _INSIDE | resolve)
        except OSError as error:
            # A rename elsewhere on the machine raced with a `..`; the kernel asks to try again.
            if error.errno != errno.EAGAIN:
                raise


def open_target(root_fd: int, path: str, *, directory: bool, follow: bool = True) -> int:
    """The place `path`, made when it is missing (parents too, mode 755, empty file when not a
    `directory`). Without `follow` a symlink anywhere in `path` is refused.

    Raises UsageError naming the path when it cannot be a mount target.
    """
    resolve = 0 if follow else RESOLVE_NO_SYMLINKS
    wanted = path
    for _ in range(_MAX_REWRITES):
        try:
            return open_inside(root_fd, wanted, resolve=resolve)
        except FileNotFoundError:
            wanted = _create(root_fd, wanted, directory, resolve)
        except OSError as error:
            raise _refused(path, error) from error
    raise errors.UsageError(f"{path}: too many levels of symlinks in the image")


def _create(root_fd: int, path: str, directory: bool, resolve: int) -> str:
    """Makes what is missing of `path`; returns the path to look up next.

    That is another one when a component is a dangling symlink: its target is what to make.
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    parent = open_inside(root_fd, ".")
    try:
        for index, name in enumerate(names):
            here = "/".join(names[: index + 1])
            try:
                child = open_inside(root_fd, here, resolve=resolve)
            except FileNotFoundError:
                as_directory = directory or index < len(names) - 1
                target = _make(parent, name, as_directory)
                if target is not None:
                    return _rewritten(names, index, target)
                child = open_inside(root_fd, here, resolve=resolve)
            os.close(parent)
            parent = child
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        os.close(parent)
    return path


def _make(parent: int, name: str, directory: bool) -> str | None:
    """Makes `name` in `parent`; the target when a dangling symlink of that name is in the way."""
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
    except FileExistsError:
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return os.readlink(name, dir_fd=parent)
    return None


def _rewritten(names: list[str], index: int, target: str) -> str:
    """`names` with the symlink at `index` replaced by its `target`; the kernel does the rest."""
    before = [] if target.startswith("/") else names[:index]
    return "/".join([*before, target, *names[index + 1 :]]).lstrip("/")


def _refused(path: str, error: OSError) -> errors.UsageError:
    reason = os.strerror(error.errno or errno.EIO).lower()
    return errors.UsageError(f"cannot mount at {path}: {reason}", path=path)
