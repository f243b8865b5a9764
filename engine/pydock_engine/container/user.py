"""Who a container runs as: names looked up in the image's own /etc/passwd and /etc/group.

The files are the image's, so hostile: opened inside the root, plain files only, bounded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import UsageError
from ..runtime.targets import open_inside

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_ID = 2**32 - 2
"""2**32-1 is the kernel's "no id"."""


@dataclass(frozen=True)
class ResolvedUser:
    """Numbers for the process, and the home folder its HOME is set to."""

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(rootfs_fd: int, user: str) -> ResolvedUser:
    """The ids `user` stands for in this root, by docker's rules.

    `user` is `name|uid[:group|gid]`, empty for root. A number need not be listed; a name must be.
    The groups an account is listed in are added only when no group is named.

    Raises UsageError naming an unknown user or group.
    """
    wanted_user, _, wanted_group = user.partition(":")
    account = _account(rootfs_fd, wanted_user or "0")
    if not wanted_group:
        groups = [g.gid for g in _groups(rootfs_fd) if account.name and account.name in g.members]
        extra = tuple(dict.fromkeys(groups))
        return ResolvedUser(account.uid, account.gid, extra, account.home)
    return ResolvedUser(account.uid, _gid(rootfs_fd, wanted_group), (), account.home)


def _account(rootfs_fd: int, wanted: str) -> _Account:
    number = _number(wanted)
    for account in _accounts(rootfs_fd):
        if account.name == wanted or account.uid == number:
            return account
    if number is None:
        raise UsageError(
            f"no user {wanted!r} in the image's /etc/passwd",
            way_out="give a number (`--user 1000:1000`), which need not be listed",
        )
    return _Account("", number, 0, "/")


def _gid(rootfs_fd: int, wanted: str) -> int:
    number = _number(wanted)
    for group in _groups(rootfs_fd):
        if group.name == wanted or group.gid == number:
            return group.gid
    if number is None:
        raise UsageError(
            f"no group {wanted!r} in the image's /etc/group",
            way_out="give a number (`--user 1000:1000`), which need not be listed",
        )
    return number


def _accounts(rootfs_fd: int) -> Iterator[_Account]:
    for fields in _lines(rootfs_fd, "/etc/passwd"):
        if len(fields) >= 6 and (uid := _number(fields[2])) is not None:
            yield _Account(fields[0], uid, _number(fields[3]) or 0, fields[5] or "/")


def _groups(rootfs_fd: int) -> Iterator[_Group]:
    for fields in _lines(rootfs_fd, "/etc/group"):
        if len(fields) >= 3 and (gid := _number(fields[2])) is not None:
            members = fields[3].split(",") if len(fields) > 3 else ()
            yield _Group(fields[0], gid, tuple(member for member in members if member))


def _lines(rootfs_fd: int, path: str) -> Iterator[list[str]]:
    for line in _read(rootfs_fd, path).decode("utf-8", "surrogateescape").splitlines():
        if line.strip() and not line.startswith("#"):
            yield [field.strip() for field in line.split(":")]


def _read(rootfs_fd: int, path: str) -> bytes:
    """The file's content; empty when the image has none. A FIFO or device is none."""
    try:
        fd = open_inside(rootfs_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return b""
        if status.st_size > MAX_FILE_BYTES:
            raise UsageError(f"the image's {path} is larger than {MAX_FILE_BYTES} bytes")
        return file.read(MAX_FILE_BYTES)


def _number(text: str) -> int | None:
    """`text` as an id, or None for a name. Raises UsageError beyond 32 bits."""
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > 10 or int(text) > MAX_ID:
        raise UsageError(f"id {text[:20]} is out of range (0 to {MAX_ID})")
    return int(text)
