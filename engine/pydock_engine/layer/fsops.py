"""What depends on the isolation level when files are given their owners and attributes.

`root` and `rootless` give each file the owner the layer asks for (rootless: within the
subordinate ranges the user namespace maps). `rootless-single` has one id to give; there the
owner is recorded in the xattr `user.pydock.owner` as `UID:GID`.
"""

from __future__ import annotations

import errno
import os
from typing import Final

OWNER_XATTR: Final = b"user.pydock.owner"

Target = int | bytes
"""A descriptor, or a path whose last name is never followed."""

_PRIVATE: Final = (b"trusted.overlay.", b"user.overlay.", b"user.pydock.")
"""A layer that could set these would speak to overlayfs, or to us, in our own name."""

_NOT_HERE: Final = frozenset(
    {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE, errno.E2BIG}
    | {errno.ENOSPC}  # ext4's answer when all attributes together do not fit one block
)


class Owners:
    """Gives owners by chown; an id that the user namespace does not map is recorded instead.

    `foreign` counts the entries that have another owner on disk than the layer wanted.
    """

    opaque_xattr = b"user.overlay.opaque"

    def __init__(self) -> None:
        self.foreign = 0

    def give(self, target: Target, uid: int, gid: int) -> None:
        try:
            if isinstance(target, int):
                os.fchown(target, uid, gid)
            else:
                os.chown(target, uid, gid, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EPERM):
                raise
            self._record(target, uid, gid)

    def _record(self, target: Target, uid: int, gid: int) -> None:
        self.foreign += 1
        # only files and folders can carry user.* attributes: for the rest the count must do
        set_xattr(target, OWNER_XATTR, b"%d:%d" % (uid, gid))


class RootOwners(Owners):
    """The machine's root: nothing is out of reach, and overlayfs reads trusted.* attributes."""

    opaque_xattr = b"trusted.overlay.opaque"


class RecordedOwners(Owners):
    """One id only: nothing is changed, everything is recorded."""

    def give(self, target: Target, uid: int, gid: int) -> None:
        if (uid, gid) != (0, 0):
            self._record(target, uid, gid)


def for_level(level: str) -> Owners:
    """A fresh strategy for `root`, `rootless` or `rootless-single`."""
    strategies = {"root": RootOwners, "rootless": Owners, "rootless-single": RecordedOwners}
    return strategies[level]()


def is_private(key: bytes) -> bool:
    """True for an attribute no layer may set."""
    return key.startswith(_PRIVATE)


def set_xattr(target: Target, key: bytes, value: bytes) -> bool:
    """False when this level or file system has no place for the attribute."""
    try:
        if isinstance(target, int):
            os.setxattr(target, key, value)
        else:
            os.setxattr(target, key, value, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return True


def inside(dir_fd: int, name: bytes) -> bytes:
    """`name` in an open folder as a path, for the calls that know no dir_fd (xattrs)."""
    return b"/proc/self/fd/%d/%s" % (dir_fd, name)
