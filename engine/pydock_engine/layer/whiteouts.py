"""Whiteouts: how a layer says that something of the layers below is gone.

In a tar a whiteout is an empty file `.wh.NAME`, and `.wh..wh..opq` hides all a folder had below.
On disk they take overlayfs's form: a character device 0:0 called NAME, and an xattr
`trusted.overlay.opaque` (or `user.overlay.opaque`) with the value `y`. They hide what lower
layers hold, never what the same layer brings along.

Source: OCI image-spec 1.1, layer.md, "Whiteouts"; Linux filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from ..errors import LayerError
from . import fsops
from .tarheader import printable

PREFIX: Final = b".wh."
OPAQUE: Final = b".wh..wh..opq"
_AUFS: Final = (b".wh..wh.aufs", b".wh..wh.orph", b".wh..wh.plnk")
"""Left in a layer's root by images that were made on aufs; they mean nothing to others."""


def is_aufs_metadata(path: bytes) -> bool:
    return path.startswith(_AUFS)


def hidden_name(path: bytes, name: bytes) -> bytes:
    """What the whiteout called `name` hides. Raises LayerError when that is no name at all."""
    hidden = name[len(PREFIX) :]
    if hidden in (b"", b".", b"..") or hidden.startswith(PREFIX):
        raise LayerError(f"a whiteout names nothing that can be hidden: {printable(path)}")
    return hidden


def is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


class Whiteouts:
    """Makes whiteouts in the folders of one layer; `opaque_xattr` is the level's."""

    def __init__(self, opaque_xattr: bytes) -> None:
        self._opaque_xattr = opaque_xattr

    def hide(self, dir_fd: int, name: bytes) -> None:
        """Hides `name` of the layers below; what this layer has under that name stays."""
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=dir_fd)
        except FileExistsError:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):  # anything else hides by being there
                self.make_opaque(fsops.inside(dir_fd, name))

    def make_opaque(self, folder: fsops.Target) -> None:
        if not fsops.set_xattr(folder, self._opaque_xattr, b"y"):
            raise LayerError("the store's file system cannot keep an opaque folder (no xattrs)")

    def make_folder(self, dir_fd: int, name: bytes) -> None:
        """A new folder; in the place of a whiteout it keeps hiding what is below.

        Raises FileExistsError when anything but a whiteout is there.
        """
        try:
            os.mkdir(name, 0o755, dir_fd=dir_fd)
        except FileExistsError:
            if not is_whiteout(os.stat(name, dir_fd=dir_fd, follow_symlinks=False)):
                raise
            os.unlink(name, dir_fd=dir_fd)
            os.mkdir(name, 0o755, dir_fd=dir_fd)
            self.make_opaque(fsops.inside(dir_fd, name))
