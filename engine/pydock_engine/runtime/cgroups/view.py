"""What a container sees of its groups: /sys/fs/cgroup, laid out as on the host's version.

Only groups of its own are shown. For any other hierarchy the root of its cgroup namespace is its
parent's group, with who knows what below. Runs in init; its namespace of groups exists already.
"""

from __future__ import annotations

import os
from dataclasses import replace

from .. import syscalls
from ..filesystems import MountOptions, new_filesystem
from ..syscalls import MOUNT_ATTR_NOSUID

_TMPFS = (("mode", "755"),)


def own_hierarchies(own_groups: str, path: str) -> tuple[str, ...]:
    """Which hierarchies of /proc/self/cgroup (its text) have us in the group `path`.

    Each is named as there: its controllers with commas (`cpu,cpuacct`), or empty for v2.
    """
    found = []
    for line in own_groups.splitlines():
        _number, controllers, group = line.split(":", 2)
        if path and group.endswith(path):
            found.append(controllers)
    return tuple(found)


def only_v2(own_groups: str) -> bool:
    return all(line.startswith("0::") for line in own_groups.splitlines())


def new_view(options: MountOptions, hierarchies: tuple[str, ...], *, v2: bool) -> int:
    """What to attach at /sys/fs/cgroup, still without `attach_hierarchies`."""
    if v2 and hierarchies:
        return new_filesystem("cgroup2", replace(options, data=()), "cgroup")
    # Writable until it has its folders.
    attributes = options.attributes & ~syscalls.MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID
    return new_filesystem("tmpfs", MountOptions(attributes=attributes, data=_TMPFS), "tmpfs")


def attach_hierarchies(
    view_fd: int, options: MountOptions, hierarchies: tuple[str, ...], *, v2: bool
) -> None:
    """Fills the attached view of a machine that has v1."""
    if v2:
        return
    for controllers in hierarchies:
        name = controllers.removeprefix("name=") or "unified"
        words = tuple((word, None) for word in controllers.split(",")) if controllers else ()
        kind = "cgroup" if controllers else "cgroup2"
        fd = new_filesystem(kind, replace(options, data=words), "cgroup")
        os.mkdir(name, 0o755, dir_fd=view_fd)
        syscalls.move_mount(fd, view_fd, name)
        os.close(fd)
        for alias in name.split(",") if "," in name else ():
            os.symlink(name, alias, dir_fd=view_fd)
    syscalls.mount_setattr(view_fd, attr_set=options.attributes)
