"""The job that gives an unpacked layer its place in the store."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ..errors import disk_error
from ..protocol.messages import CommitLayer
from ..runtime import syscalls
from . import fsops
from .record import read_record, unescape
from .remove import remove_tree

Report = Callable[[int, int, str], None]

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE: Final = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS


def commit_layer(request: CommitLayer, report: Report, *, level: str = "root") -> None:
    """Moves `request.source` to `request.destination` with one rename.

    Folders the layer only implied first get mode, owner, times and attributes of the same folder
    in the nearest layer below that shows one: overlayfs shows the topmost folder's.

    Idempotent: a destination that is there wins, and the source is removed. Killed at any point
    it leaves either the source, to be committed again, or the finished destination.

    Raises
    ------
    StoreError
        The source is no finished unpack target, or the store cannot be written.
    """
    source, destination = Path(request.source), Path(request.destination)
    if not (destination / "layer.json").exists():
        try:
            _inherit(source, [Path(parent) for parent in request.parents], level)
            destination.parent.mkdir(parents=True, exist_ok=True)
            os.rename(source, destination)
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise disk_error(error, destination) from error
    remove_tree(source)


def _inherit(source: Path, parents: list[Path], level: str) -> None:
    implied = [unescape(text) for text in read_record(source).implied]
    if not implied or not parents:
        return
    opaque_xattr = fsops.for_level(level).opaque_xattr
    with contextlib.ExitStack() as stack:
        fds = [stack.enter_context(_opened(parent / "diff")) for parent in parents]
        source_fd = stack.enter_context(_opened(source / "diff"))
        for path in implied:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                with _open_inside(source_fd, path) as folder_fd:
                    _inherit_folder(folder_fd, path, fds, opaque_xattr)


def _inherit_folder(folder_fd: int, path: bytes, parents: list[int], opaque_xattr: bytes) -> None:
    """Copies the metadata of `path` from the first of `parents` that has it in view."""
    for parent_fd in parents:
        try:
            with _open_inside(parent_fd, path) as lower_fd:
                _copy_metadata(lower_fd, folder_fd, opaque_xattr)
                return
        except FileNotFoundError:
            if _hides_below(parent_fd, path, opaque_xattr):
                return
        except OSError as error:
            # a file, a link or a whiteout on the way: layers further down are out of view
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return
            raise


def _hides_below(parent_fd: int, path: bytes, opaque_xattr: bytes) -> bool:
    """True when a folder above `path` is opaque in this layer."""
    while path:
        path = path.rpartition(b"/")[0]
        with contextlib.suppress(FileNotFoundError):
            with _open_inside(parent_fd, path) as fd:
                return opaque_xattr.decode() in os.listxattr(fd)
    return False


def _copy_metadata(lower_fd: int, folder_fd: int, opaque_xattr: bytes) -> None:
    status = os.fstat(lower_fd)
    os.fchown(folder_fd, status.st_uid, status.st_gid)
    os.fchmod(folder_fd, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(lower_fd):
        if name != opaque_xattr.decode():
            fsops.set_xattr(folder_fd, os.fsencode(name), os.getxattr(lower_fd, name))
    os.utime(folder_fd, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextlib.contextmanager
def _open_inside(root_fd: int, path: bytes) -> Iterator[int]:
    fd = syscalls.openat2(root_fd, path or b".", _FOLDER, 0, _RESOLVE)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    fd = os.open(folder, _FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)
