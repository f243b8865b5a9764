"""Removing trees that may be hostile: bounded memory, no link followed, no mount entered."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..errors import SyscallError, UsageError
from ..protocol.messages import RemoveTrees
from ..runtime import syscalls

Report = Callable[[int, int, str], None]

_MAX_DEPTH: Final = 64
_RESOLVE: Final = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


def remove_trees(request: RemoveTrees, report: Report, *, below: Sequence[Path] = ()) -> None:
    """Removes each path of `request`, whatever modes its files have; a missing one is fine.

    With `below` (the store's root, say) a path anywhere else is refused before anything is
    removed, and no symlink is followed on the way from there.

    Raises
    ------
    UsageError
        A path that is not absolute, or in none of `below`.
    SyscallError
        Something cannot be removed: a mount is inside, or the file system refused.
    """
    tops = [_top_of(Path(text), below) for text in request.paths]
    for done, (text, top) in enumerate(zip(request.paths, tops, strict=True)):
        report(done, len(request.paths), text)
        remove_tree(Path(text), top)


def _top_of(path: Path, below: Sequence[Path]) -> Path:
    if path.is_absolute() and path.name and ".." not in path.parts:
        for top in below or [path.parent]:
            if top in path.parents:
                return top
    raise UsageError(f"refusing to remove {path}: it is not below {' or '.join(map(str, below))}")


def remove_tree(path: Path, top: Path | None = None) -> None:
    """Removes `path` and all in it; does nothing when it is not there.

    No symlink is followed from `top` (by default the folder it is in) downwards.
    """
    top = top or path.parent
    try:
        top_fd = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        parent_fd = syscalls.openat2(top_fd, path.parent.relative_to(top), _FOLDER, 0, _RESOLVE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SyscallError.from_os_error("openat2", error, str(path.parent)) from error
    finally:
        os.close(top_fd)
    try:
        remove_at(parent_fd, os.fsencode(path.name))
    except OSError as error:
        raise SyscallError.from_os_error("remove", error, str(path)) from error
    finally:
        os.close(parent_fd)


def remove_at(dir_fd: int, name: bytes) -> None:
    """Removes what `name` is in an open folder, with everything in it.

    Raises OSError (EXDEV when a mount is inside; what lies outside of it may be gone by then).
    """
    try:
        os.unlink(name, dir_fd=dir_fd)
        return
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
        if not stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            raise
    fd = _open_folder(dir_fd, name)
    try:
        while not _empty(fd, fd, 0):
            pass  # folders from too deep were moved up and are emptied in the next round
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=dir_fd)


def _open_folder(dir_fd: int, name: bytes) -> int:
    try:
        return syscalls.openat2(dir_fd, name, _FOLDER, 0, _RESOLVE)
    except PermissionError:
        # without CAP_DAC_OVERRIDE a folder's own mode can lock its owner out
        held = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
        try:
            os.chmod(f"/proc/self/fd/{held}", 0o700)
        finally:
            os.close(held)
        return syscalls.openat2(dir_fd, name, _FOLDER, 0, _RESOLVE)


def _empty(top_fd: int, fd: int, depth: int) -> bool:
    """Removes all in `fd`; False when something was moved to `top_fd` to be removed from there.

    A layer can nest folders deeper than any stack or descriptor table reaches.
    """
    _make_writable(fd)
    done = True
    with os.scandir(fd) as entries:
        found = [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in entries]
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=fd)
        elif depth >= _MAX_DEPTH:
            _move_up(top_fd, fd, name)
            done = False
        else:
            below = _open_folder(fd, name)
            try:
                done &= _empty(top_fd, below, depth + 1)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=fd)
    return done


def _make_writable(fd: int) -> None:
    if os.geteuid() != 0:
        os.fchmod(fd, 0o700)


def _move_up(top_fd: int, fd: int, name: bytes) -> None:
    """Moves a folder to the top of the tree, under a name nothing in it can have foreseen."""
    held = _open_folder(fd, name)
    try:
        _make_writable(held)  # to move a folder is to write to its `..`
    finally:
        os.close(held)
    new_name = os.fsencode(f".removing-{secrets.token_hex(8)}")
    os.rename(name, new_name, src_dir_fd=fd, dst_dir_fd=top_fd)
