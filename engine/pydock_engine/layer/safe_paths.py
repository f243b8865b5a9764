"""Folders of a layer as descriptors: nothing done through them can touch anything outside.

Two rules make that hold. The folder an entry goes into is opened with openat2 and
RESOLVE_IN_ROOT, so that the kernel itself keeps `..`, absolute links and races inside the layer.
And everything else happens by a single name inside such a folder (`dir_fd` calls that follow no
link), where a name is never `.`, `..` or empty.

Source: openat2(2), Linux 5.6.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from ..errors import LayerError
from ..runtime import syscalls
from .tarheader import printable

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_RESOLVE: Final = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_KEPT_OPEN: Final = 64
_MAX_PATH_BYTES: Final = 4095  # PATH_MAX without its NUL: what could ever be named in one call
_MAX_NAME_BYTES: Final = 255
_TRIES: Final = 256


def clean_path(name: bytes) -> bytes:
    """`name` relative to the layer's root, without `.`, `..` or doubled slashes; b"" is the root.

    Raises
    ------
    LayerError
        The name climbs out of the layer, or is longer than the kernel takes.
    """
    if b"/." in name or b"//" in name or name[:1] in (b".", b"/") or name[-1:] == b"/":
        parts: list[bytes] = []
        for part in name.split(b"/"):
            if part == b"..":
                if not parts:
                    raise LayerError(f"a name leaves the layer: {printable(name)}")
                parts.pop()
            elif part not in (b"", b"."):
                parts.append(part)
        name = b"/".join(parts)
    if len(name) > _MAX_PATH_BYTES or max(map(len, name.split(b"/"))) > _MAX_NAME_BYTES:
        raise LayerError(f"a name is too long ({len(name)} bytes): {printable(name)}")
    return name


def split(path: bytes) -> tuple[bytes, bytes]:
    """Folder and last name of a clean path."""
    folder, _, name = path.rpartition(b"/")
    return folder, name


class Folders:
    """Descriptors (O_PATH) of the folders below `root_fd`, opened on demand, missing ones made.

    A descriptor belongs to this object and is valid until the next call. Symlinks among the
    parents are followed inside the root, as a container would follow them. `implied` holds the
    folders that were made because an entry needed them, by `make_folder(dir_fd, name)`.
    """

    def __init__(self, root_fd: int, make_folder: Callable[[int, bytes], None]) -> None:
        self._root_fd = root_fd
        self._make_folder = make_folder
        self._open: dict[bytes, int] = {}
        self._last: tuple[bytes, int] = (b"", root_fd)
        self.implied: set[bytes] = set()

    def open(self, path: bytes, *, make: bool = True) -> int:
        """The folder at `path`; without `make`, -1 when it is not there.

        Raises LayerError when something else is in the way.
        """
        if path == self._last[0]:
            return self._last[1]
        fd = self._open.pop(path, -1) if path else self._root_fd
        if fd < 0:
            fd = self._resolve(path)
            if fd < 0 and not make:
                return -1
            if fd < 0:
                fd = self._make(path)
        if path:
            self._open[path] = fd  # at the end: the first is the one unused for longest
            if len(self._open) > _KEPT_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
        self._last = (path, fd)
        return fd

    def find(self, path: bytes) -> int:
        """Like `open`, but makes nothing: -1 when there is no such folder. The caller closes it."""
        return self._resolve(path or b".")

    def forget(self) -> None:
        """Closes all: to be called whenever a folder was replaced or removed."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()
        self._last = (b"", self._root_fd)

    def _resolve(self, path: bytes) -> int:
        for _ in range(_TRIES):
            try:
                return syscalls.openat2(self._root_fd, path, _DIRECTORY, 0, _RESOLVE)
            except OSError as error:
                # EAGAIN: something, anywhere on the machine, was renamed during a `..`
                if error.errno == errno.EAGAIN:
                    continue
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    return -1
                raise
        raise LayerError(f"cannot open a folder of the layer safely: {printable(path)}")

    def _make(self, path: bytes) -> int:
        """Makes what is missing of `path` and opens it."""
        missing: list[bytes] = []
        fd = -1
        while fd < 0:
            path, _, name = path.rpartition(b"/")
            missing.append(name)
            fd = self._resolve(path or b".")
        for name in reversed(missing):
            try:
                self._make_folder(fd, name)
                below = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            except FileExistsError:
                where = printable(path + b"/" + name if path else name)
                raise LayerError(f"a parent is not a folder: {where}") from None
            finally:
                os.close(fd)
            fd = below
            path = path + b"/" + name if path else name
            self.implied.add(path)
        return fd
