"""Builds a container's root and makes it `/`: mounts, devices, masks, pivot. Runs in init.

pivot_root(".", ".") stacks the old root on top of the new one; detaching it leaves no path back
and needs no folder inside the container. Its conditions: the new root is a mount of this
namespace, and neither it nor its parent is shared.

No device works but those bound in /dev: everything else is mounted nodev, since a device node may
come with an image, and root without a user namespace can make one (CAP_MKNOD is a default).
"""

from __future__ import annotations

import os

from .. import errors
from ..oci.runtime import Mount, Spec
from . import devices, masking, syscalls
from .filesystems import new_filesystem, parse_options
from .steps import step
from .syscalls import AT_FDCWD, MNT_DETACH, MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_REC
from .targets import open_inside, open_target

_KERNEL_FOLDERS = ("/proc", "/sys")


def build(spec: Spec, root_fd: int, binds: dict[int, int]) -> None:
    """From the detached mount `root_fd` to a process whose `/` it is.

    `binds` holds a detached mount for each index of `spec.mounts` that is a bind. Closes all.
    """
    with step("mount", "private"):
        syscalls.mount(None, "/", None, MS_PRIVATE | MS_REC)
    with step("move_mount", "rootfs"):
        # On top of the host's root: a place that exists and that any user may reach.
        syscalls.move_mount(root_fd, AT_FDCWD, "/")
    proc_device: int | None = None
    for index, mount in enumerate(spec.mounts):
        attached = _attach(root_fd, mount, binds.get(index), proc_device)
        if mount.type == "proc":
            proc_device = os.fstat(attached).st_dev
        if mount.destination == "/dev" and mount.type == "tmpfs":
            with step("mount", "/dev"):
                devices.populate(attached)
                syscalls.mount_setattr(attached, attr_set=MOUNT_ATTR_NODEV)
        os.close(attached)
    _apply_sysctl(root_fd, spec.linux.sysctl)
    os.close(open_target(root_fd, spec.process.cwd, directory=True))
    with step("mount", "masked paths"):
        masking.make_readonly(root_fd, spec.linux.readonly_paths)
        masking.mask(root_fd, spec.linux.masked_paths)
    with step("mount_setattr", "/"):
        readonly = MOUNT_ATTR_RDONLY if spec.root.readonly else 0
        syscalls.mount_setattr(root_fd, attr_set=MOUNT_ATTR_NODEV | readonly)
    _pivot(root_fd)


def _attach(root_fd: int, mount: Mount, bind_fd: int | None, proc_device: int | None) -> int:
    """Mounts `mount` at its destination; returns the mount, attached."""
    options = parse_options(mount.options)
    if bind_fd is not None:
        source = bind_fd
    else:
        source = new_filesystem(mount.type, options, mount.source)
    target = open_target(
        root_fd,
        mount.destination,
        directory=_is_directory(source),
        follow=mount.destination not in _KERNEL_FOLDERS,
    )
    if os.fstat(target).st_dev == proc_device:
        raise errors.UsageError(f"cannot mount at {mount.destination}: it is inside /proc")
    with step("mount", mount.destination):
        syscalls.move_mount(source, target)
    os.close(target)
    return source


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
