"""Id ranges of user namespaces: which a container gets, and writing them.

A namespace without maps shows every owner as the overflow id and can create no file, so init
waits until its parent has written them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .. import errors
from ..oci.runtime import IdMapping

FIRST_HOST_ID = 524288
RANGE_SIZE = 65536
LAST_SLOT = (2**32 - 1 - FIRST_HOST_ID) // RANGE_SIZE - 1
"""The last range that fits below the invalid id 2**32-1."""


@dataclass(frozen=True)
class UserNamespace:
    """A mapped user namespace, held open; `root_uid` and `root_gid` are its 0:0 outside."""

    fd: int
    root_uid: int
    root_gid: int


def slot_mapping(slot: int) -> tuple[IdMapping, ...]:
    """The range of host ids that belongs to container `slot` (0 and up) at level root."""
    if not 0 <= slot <= LAST_SLOT:
        raise ValueError(f"no id range number {slot}")
    return (IdMapping(container_id=0, host_id=FIRST_HOST_ID + RANGE_SIZE * slot, size=RANGE_SIZE),)


def identity_mapping(kind: str) -> tuple[IdMapping, ...]:
    """Each id this process's own namespace has, mapped to itself; `kind` is `uid` or `gid`."""
    with open(f"/proc/self/{kind}_map") as file:
        rows = [line.split() for line in file]
    return tuple(
        IdMapping(container_id=int(inside), host_id=int(inside), size=int(count))
        for inside, _outside, count in rows
    )


def holds(mappings: tuple[IdMapping, ...], inside: int) -> bool:
    """Whether the id `inside` exists in a namespace of these mappings (none: all ids do)."""
    return not mappings or any(
        0 <= inside - mapping.container_id < mapping.size for mapping in mappings
    )


def to_host(mappings: tuple[IdMapping, ...], inside: int) -> int:
    """What the id `inside` is called in the parent namespace. Raises Unsupported without one."""
    for mapping in mappings:
        if 0 <= inside - mapping.container_id < mapping.size:
            return mapping.host_id + inside - mapping.container_id
    if mappings:
        count = sum(mapping.size for mapping in mappings)
        raise errors.Unsupported(
            f"id {inside} does not exist in this container: it has {count}",
            way_out="choose a smaller one, or get more with `usermod --add-subuids` (rootless)",
        )
    return inside


def write_maps(
    pid: int, uid_mappings: tuple[IdMapping, ...], gid_mappings: tuple[IdMapping, ...]
) -> None:
    """Writes both maps of the user namespace process `pid` is in; each can be written once."""
    for kind, mappings in (("uid", uid_mappings), ("gid", gid_mappings)):
        lines = "".join(f"{m.container_id} {m.host_id} {m.size}\n" for m in mappings)
        fd = os.open(f"/proc/{pid}/{kind}_map", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, lines.encode())
        finally:
            os.close(fd)
