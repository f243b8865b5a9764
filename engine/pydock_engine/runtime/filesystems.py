"""New filesystems and bind mounts as detached mounts: descriptors that appear nowhere yet.

A detached mount can be configured in full (flags, id map, propagation) before any process can see
it, and handed to another mount namespace; attaching it is one move_mount.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from .. import errors
from ..oci.runtime import Mount
from . import syscalls
from .idmap import UserNamespace
from .syscalls import (
    AT_FDCWD,
    AT_RECURSIVE,
    MOUNT_ATTR_IDMAP,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
    OPEN_TREE_CLONE,
)

_SET = {
    "ro": MOUNT_ATTR_RDONLY,
    "nosuid": MOUNT_ATTR_NOSUID,
    "nodev": MOUNT_ATTR_NODEV,
    "noexec": MOUNT_ATTR_NOEXEC,
    "noatime": 0x10,
    "strictatime": 0x20,
    "nodiratime": 0x80,
    "nosymfollow": 0x200000,
}
_CLEAR = {
    "rw": MOUNT_ATTR_RDONLY,
    "suid": MOUNT_ATTR_NOSUID,
    "dev": MOUNT_ATTR_NODEV,
    "exec": MOUNT_ATTR_NOEXEC,
}
_PROPAGATION = {"private": MS_PRIVATE, "slave": MS_SLAVE, "shared": MS_SHARED}
_PROPAGATION["unbindable"] = MS_UNBINDABLE
_NOTHING = frozenset({"relatime", "defaults", "atime", "diratime", "async", "norelatime"})
_NOTHING |= {"nostrictatime", "loud", "silent", "noiversion", "nomand", "symfollow"}
_ATIME = 0x70
"""MOUNT_ATTR__ATIME: a field, to be cleared as a whole when one of its values is set."""


@dataclass(frozen=True)
class MountOptions:
    """A runtime-spec mount's `options`, sorted by who understands them."""

    attributes: int = 0
    cleared: int = 0
    propagation: int = 0
    bind: bool = False
    recursive: bool = False
    idmap: bool = False
    data: tuple[tuple[str, str | None], ...] = ()
    """For the filesystem: `("size", "64m")`, or `("newinstance", None)` for a bare word."""


def parse_options(options: tuple[str, ...]) -> MountOptions:
    """Later words win over earlier ones, as in mount(8)."""
    attributes = cleared = propagation = 0
    data: list[tuple[str, str | None]] = []
    for word in options:
        option = word
        if word.startswith("r") and word not in _SET | _CLEAR and word[1:] in _SET | _CLEAR:
            option = word[1:]  # of what is mounted below as well; so are all of ours
        if option in _SET:
            attributes |= _SET[option]
            cleared &= ~_SET[option]
        elif option in _CLEAR:
            attributes &= ~_CLEAR[option]
            cleared |= _CLEAR[option]
        elif option.removeprefix("r") in _PROPAGATION:
            propagation = _PROPAGATION[option.removeprefix("r")]
        elif option not in _NOTHING and option not in _BIND_WORDS:
            key, equals, value = option.partition("=")
            data.append((key, value if equals else None))
    return MountOptions(
        attributes=attributes,
        cleared=cleared | (_ATIME if attributes & _ATIME else 0),
        propagation=propagation,
        bind="bind" in options or "rbind" in options,
        recursive="rbind" in options,
        idmap="idmap" in options or "ridmap" in options,
        data=tuple(data),
    )


_BIND_WORDS = frozenset({"bind", "rbind", "idmap", "ridmap"})
WORDS = frozenset({*_SET, *_CLEAR, *_PROPAGATION, *_NOTHING, *_BIND_WORDS})
"""What `parse_options` takes for itself; each of the first three also with an `r` in front."""


def new_filesystem(kind: str, options: MountOptions, source: str = "") -> int:
    """A new `kind` filesystem as a detached mount. Raises SyscallError with the kernel's words."""
    fd = syscalls.fsopen(kind)
    try:
        if source:
            syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, "source", source)
        for key, value in options.data:
            if value is None:
                syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_FLAG, key)
            else:
                syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, key, value)
        syscalls.fsconfig(fd, syscalls.FSCONFIG_CMD_CREATE, None)
        return syscalls.fsmount(fd, options.attributes)
    except OSError as error:
        said = syscalls.fs_messages(fd)
        raise errors.SyscallError.from_os_error("mount", error, f"{kind} {said}".strip()) from error
    finally:
        os.close(fd)


def open_bind(mount: Mount, userns: UserNamespace | None) -> int:
    """The source of bind `mount` as a detached mount, with its flags and id map applied.

    To be called by the parent: it sees the host's files, init may not. Raises UsageError for a
    source that is not there, Unsupported where its filesystem cannot be id-mapped.
    """
    options = parse_options(mount.options)
    fd = clone_tree(mount.source, recursive=options.recursive)
    try:
        syscalls.mount_setattr(
            fd,
            attr_set=options.attributes,
            attr_clr=options.cleared,
            propagation=options.propagation or MS_PRIVATE,
            recursive=options.recursive,
        )
        if options.idmap and userns is not None:
            idmap_tree(fd, userns, mount.source, recursive=options.recursive)
    except BaseException:
        os.close(fd)
        raise
    return fd


def clone_tree(source: str, *, recursive: bool) -> int:
    """A detached copy of the mount (tree) at `source`. Raises UsageError naming a bad source."""
    flags = OPEN_TREE_CLONE | (AT_RECURSIVE if recursive else 0)
    try:
        return syscalls.open_tree(AT_FDCWD, source, flags)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            reason = os.strerror(error.errno).lower()
            raise errors.UsageError(
                f"cannot bind {source}: {reason}",
                way_out="make it first, or check the path before the colon",
                path=source,
            ) from error
        raise errors.SyscallError.from_os_error("open_tree", error, source) from error


def idmap_tree(fd: int, userns: UserNamespace, source: str, *, recursive: bool) -> None:
    """Shows the detached mount `fd` with the ids of `userns`."""
    try:
        syscalls.mount_setattr(
            fd, attr_set=MOUNT_ATTR_IDMAP, userns_fd=userns.fd, recursive=recursive
        )
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM):
            raise errors.SyscallError.from_os_error("mount_setattr", error, source) from error
        raise errors.Unsupported(
            f"the filesystem of {source} cannot show its files with other ids (id-mapped mount)",
            way_out="run with `--userns host`, or use a folder on ext4, xfs, btrfs or tmpfs",
            path=source,
        ) from error
