"""Builds a container's root and makes it `/`: mounts, devices, masks, pivot. Runs in init.

pivot_root(".", ".") stacks the old root on top of the new one; detaching it leaves no path back
and needs no folder inside the container. Its conditions: the new root is a mount of this
namespace, and neither it nor its parent is shared.

No device works but those bound in /dev: everything else is mounted nodev, since a device node may
come with an image, and root without a user namespace can make one (CAP_MKNOD is a default).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .. import errors
from ..oci.runtime import Mount, Spec
from . import devices, masking, syscalls
from .cgroups import view
from .filesystems import new_filesystem, parse_options
from .steps import step
from .syscalls import AT_FDCWD, MNT_DETACH, MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_REC
from .targets import open_inside, open_target

_KERNEL_FOLDERS = ("/proc", "/sys")


@dataclass
class Parts:
    """What `build` works with; it closes the descriptors."""

    root_fd: int
    """The root as a detached mount."""
    binds: dict[int, int]
    """A detached mount for each index of `spec.mounts` that is a bind."""
    own_groups: str
    """/proc/self/cgroup as it read before the namespace of groups was made; empty without one."""
    proc_device: int | None = None
    """Where nothing may be mounted, once /proc is there."""


def build(spec: Spec, parts: Parts) -> None:
    """From a root that is mounted nowhere to a process whose `/` it is."""
    root_fd = parts.root_fd
    with step("mount", "private"):
        syscalls.mount(None, "/", None, MS_PRIVATE | MS_REC)
    with step("move_mount", "rootfs"):
        # On top of the host's root: a place that exists and that any user may reach.
        syscalls.move_mount(root_fd, AT_FDCWD, "/")
    for index, mount in enumerate(spec.mounts):
        with step("mount", mount.destination):
            if mount.type == "cgroup":
                _attach_groups(parts, mount, spec.linux.cgroups_path)
            elif index in parts.binds:
                os.close(_attach(parts, mount, parts.binds[index]))
            else:
                _attach_new(parts, mount)
    _apply_sysctl(root_fd, spec.linux.sysctl)
    os.close(open_target(root_fd, spec.process.cwd, directory=True))
    with step("mount", "masked paths"):
        masking.make_readonly(root_fd, spec.linux.readonly_paths)
        masking.mask(root_fd, spec.linux.masked_paths)
    with step("mount_setattr", "/"):
        readonly = MOUNT_ATTR_RDONLY if spec.root.readonly else 0
        syscalls.mount_setattr(root_fd, attr_set=MOUNT_ATTR_NODEV | readonly)
    _pivot(root_fd)


def _attach_new(parts: Parts, mount: Mount) -> None:
    options = parse_options(mount.options)
    fd = _attach(parts, mount, new_filesystem(mount.type, options, mount.source))
    if mount.type == "proc":
        parts.proc_device = os.fstat(fd).st_dev
    if mount.destination == "/dev" and mount.type == "tmpfs":
        devices.populate(fd)
        syscalls.mount_setattr(fd, attr_set=MOUNT_ATTR_NODEV)
    os.close(fd)


def _attach_groups(parts: Parts, mount: Mount, path: str) -> None:
    options = parse_options(mount.options)
    own, v2 = view.own_hierarchies(parts.own_groups, path), view.only_v2(parts.own_groups)
    fd = _attach(parts, mount, view.new_view(options, own, v2=v2))
    view.attach_hierarchies(fd, options, own, v2=v2)
    os.close(fd)


def _attach(parts: Parts, mount: Mount, fd: int) -> int:
    """Attaches the detached mount `fd` at the destination of `mount`; returns it."""
    target = open_target(
        parts.root_fd,
        mount.destination,
        directory=_is_directory(fd),
        follow=mount.destination not in _KERNEL_FOLDERS,
    )
    if os.fstat(target).st_dev == parts.proc_device:
        raise errors.UsageError(f"cannot mount at {mount.destination}: it is inside /proc")
    syscalls.move_mount(fd, target)
    os.close(target)
    return fd


def _is_directory(fd: int) -> bool:
    return os.fstat(fd).st_mode & 0o170000 == 0o040000


def _apply_sysctl(root_fd: int, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        path = "/proc/sys/" + name.replace(".", "/")
        with step("sysctl", name):
            fd = open_inside(root_fd, path, os.O_WRONLY)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)


def _pivot(root_fd: int) -> None:
    with step("pivot_root"):
        os.fchdir(root_fd)
        syscalls.pivot_root(".", ".")
        syscalls.umount2(".", MNT_DETACH)
        os.chdir("/")
    os.close(root_fd)
