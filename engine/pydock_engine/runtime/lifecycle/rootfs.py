"""Builds the root of a bundle's container, up to the pivot. Runs in init.

Every place is found with openat2 inside the root and mounted on as a descriptor (targets.py).
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace

from ... import errors
from ...oci.runtime import Mount, Spec
from .. import masking, syscalls
from ..filesystems import MountOptions, clone_tree, new_filesystem, open_bind, parse_options
from ..steps import step
from ..syscalls import (
    AT_FDCWD,
    MNT_DETACH,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
)
from ..targets import open_inside, open_target
from . import nodes
from .groups import Groups

_PROPAGATION = {"shared": MS_SHARED, "slave": MS_SLAVE, "private": MS_PRIVATE}
_PROPAGATION["unbindable"] = syscalls.MS_UNBINDABLE


@dataclass
class Site:
    """What `build` works with and on."""

    spec: Spec
    groups: Groups | None
    new_namespaces: frozenset[str]
    devices_guarded: bool
    """The devices group refuses what is not allowed; else nothing but /dev may have any."""
    root_fd: int = -1
    binds: dict[int, int] = field(default_factory=dict)
    """Detached mounts by index of `spec.mounts`, where the parent had to open them."""
    proc_device: int | None = None


def open_root(spec: Spec, path: str) -> int:
    """The root as a detached mount, with the propagation the document wants."""
    fd = clone_tree(path, recursive=True)
    slave = "slave" in spec.linux.rootfs_propagation
    syscalls.mount_setattr(fd, propagation=MS_SLAVE if slave else MS_PRIVATE, recursive=True)
    return fd


def is_bind(mount: Mount) -> bool:
    return parse_options(mount.options).bind or mount.type == "bind"


def build(site: Site) -> None:
    """Mounts, devices and links; the root is on top of the host's afterwards, not yet `/`."""
    spec = site.spec
    with step("mount", "private"):
        # A slave still hears of the host's mounts where a bind asks for that.
        syscalls.mount(None, "/", None, MS_SLAVE | MS_REC)
    with step("move_mount", "rootfs"):
        syscalls.move_mount(site.root_fd, AT_FDCWD, "/")
    for index, mount in enumerate(spec.mounts):
        with step("mount", mount.destination):
            _attach_one(site, index, mount)
    with step("mknod", "/dev"):
        nodes.make_devices(site.root_fd, spec, may_make="user" not in site.new_namespaces)
    os.close(open_target(site.root_fd, spec.process.cwd, directory=True))


def finish(site: Site, *, pivot: bool) -> None:
    """Masks, read-only places, and the change of `/`."""
    linux, root_fd = site.spec.linux, site.root_fd
    with step("mount", "masked paths"):
        masking.make_readonly(root_fd, linux.readonly_paths)
        masking.mask(root_fd, linux.masked_paths)
    attributes = MOUNT_ATTR_RDONLY if site.spec.root.readonly else 0
    if not site.devices_guarded:
        attributes |= MOUNT_ATTR_NODEV
    with step("mount_setattr", "/"):
        syscalls.mount_setattr(root_fd, attr_set=attributes)
    with step("pivot_root"):
        os.fchdir(root_fd)
        if pivot:
            syscalls.pivot_root(".", ".")
            syscalls.umount2(".", MNT_DETACH)
        else:
            os.chroot(".")
        os.chdir("/")
    os.close(root_fd)
    wanted = linux.rootfs_propagation.removeprefix("r")
    if wanted in ("shared", "unbindable"):
        recursive = MS_REC if linux.rootfs_propagation.startswith("r") else 0
        syscalls.mount(None, "/", None, _PROPAGATION[wanted] | recursive)


def _attach_one(site: Site, index: int, mount: Mount) -> None:
    options = parse_options(mount.options)
    if is_bind(mount):
        fd = site.binds.get(index)
        attached = _attach(site, mount, open_bind(mount, None) if fd is None else fd)
    elif mount.type == "cgroup":
        attached = _attach_groups(site, mount, options)
    elif mount.type == "cgroup2":
        attached = _attach(site, mount, _unified_view(site, options))
    else:
        attached = _attach_new(site, mount, options)
    os.close(attached)


def _attach_new(site: Site, mount: Mount, options: MountOptions) -> int:
    copy_up = ("tmpcopyup", None) in options.data
    options = replace(options, data=tuple(w for w in options.data if w[0] != "tmpcopyup"))
    # A devpts holds nothing but terminals, which nodev would keep from being opened.
    if not site.devices_guarded and mount.destination != "/dev" and mount.type != "devpts":
        options = replace(options, attributes=options.attributes | MOUNT_ATTR_NODEV)
    fd = new_filesystem(mount.type, options, mount.source)
    if copy_up:
        _copy_up(site.root_fd, mount.destination, fd)
    _attach(site, mount, fd)
    if mount.type == "proc":
        site.proc_device = os.fstat(fd).st_dev
    if options.propagation not in (0, MS_PRIVATE):
        syscalls.mount_setattr(fd, propagation=options.propagation)
    return fd


def _attach(site: Site, mount: Mount, fd: int) -> int:
    target = open_target(
        site.root_fd,
        mount.destination,
        directory=os.fstat(fd).st_mode & 0o170000 == 0o040000,
        follow=mount.destination not in ("/proc", "/sys"),
    )
    if os.fstat(target).st_dev == site.proc_device and not _may_cover(mount.destination):
        raise errors.UsageError(f"cannot mount at {mount.destination}: it is inside /proc")
    syscalls.move_mount(fd, target)
    os.close(target)
    return fd


def _may_cover(destination: str) -> bool:
    """Files of /proc that LXCFS and others replace, none of which guards anything (as in runc)."""
    return destination in (
        *("/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps"),
        *("/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev"),
        "/proc/sys/kernel/ns_last_pid",
    )


def _attach_groups(site: Site, mount: Mount, options: MountOptions) -> int:
    """/sys/fs/cgroup with the container's own groups as roots, one folder a hierarchy (v1)."""
    v1 = site.groups.v1 if site.groups else {}
    if not v1:
        return _attach(site, mount, _unified_view(site, options))
    plain = MountOptions(
        attributes=options.attributes & ~MOUNT_ATTR_RDONLY, data=(("mode", "755"),)
    )
    view = _attach(site, mount, new_filesystem("tmpfs", plain, "tmpfs"))
    for names, folder in v1.items():
        words = names.split(",")
        name = names.removeprefix("name=")
        if "cgroup" in site.new_namespaces:
            data = tuple(word.partition("=")[::2] for word in words)
            values = tuple((key, value or None) for key, value in data)
            fd = new_filesystem("cgroup", replace(options, data=values), "cgroup")
        else:
            fd = _clone(str(folder), options)
        os.mkdir(name, 0o755, dir_fd=view)
        syscalls.move_mount(fd, view, name)
        os.close(fd)
        for alias in words if len(words) > 1 else ():
            os.symlink(name, alias, dir_fd=view)
    if site.groups and site.groups.unified is not None:
        fd = _unified_view(site, options)
        os.mkdir("unified", 0o755, dir_fd=view)
        syscalls.move_mount(fd, view, "unified")
        os.close(fd)
    syscalls.mount_setattr(view, attr_set=options.attributes)
    return view


def _unified_view(site: Site, options: MountOptions) -> int:
    if "cgroup" in site.new_namespaces or site.groups is None or site.groups.unified is None:
        return new_filesystem("cgroup2", replace(options, data=()), "cgroup")
    return _clone(str(site.groups.unified), options)


def _clone(path: str, options: MountOptions) -> int:
    fd = clone_tree(path, recursive=False)
    syscalls.mount_setattr(fd, attr_set=options.attributes, propagation=MS_PRIVATE)
    return fd


def _copy_up(root_fd: int, destination: str, tmpfs: int) -> None:
    """What the image has at `destination` goes into the tmpfs that will cover it (tmpcopyup)."""
    import shutil  # imported by create, which knows that it will be wanted

    try:
        source = open_inside(root_fd, destination, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    here, there = f"/proc/self/fd/{source}", f"/proc/self/fd/{tmpfs}"
    shutil.copytree(here, there, symlinks=True, dirs_exist_ok=True, copy_function=_copy_file)
    for folder, names, files, dir_fd in os.fwalk(".", dir_fd=source, follow_symlinks=False):
        for name in (*names, *files):
            facts = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            os.chown(
                f"{folder}/{name}", facts.st_uid, facts.st_gid, dir_fd=tmpfs, follow_symlinks=False
            )
    os.close(source)


def _copy_file(source: str, target: str) -> None:
    import shutil
    import stat

    if stat.S_ISREG(os.stat(source, follow_symlinks=False).st_mode):
        shutil.copy2(source, target, follow_symlinks=False)
