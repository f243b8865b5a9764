"""Device nodes and the usual links of /dev, and the container's terminal.

A node is made with mknod, or bound from the host's where the kernel forbids that (a user
namespace). Source: runtime-spec config-linux.md, "Default Devices", "Dev symbolic links".
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios
from contextlib import suppress

from ... import errors
from ...oci.runtime import ConsoleSize, Device, Spec
from .. import syscalls
from ..devices import LINKS
from ..steps import step
from ..syscalls import AT_EMPTY_PATH, AT_FDCWD, OPEN_TREE_CLONE
from ..targets import open_inside, open_target

_DEFAULT = (
    Device(path="/dev/null", type="c", major=1, minor=3, file_mode=0o666),
    Device(path="/dev/zero", type="c", major=1, minor=5, file_mode=0o666),
    Device(path="/dev/full", type="c", major=1, minor=7, file_mode=0o666),
    Device(path="/dev/random", type="c", major=1, minor=8, file_mode=0o666),
    Device(path="/dev/urandom", type="c", major=1, minor=9, file_mode=0o666),
    Device(path="/dev/tty", type="c", major=5, minor=0, file_mode=0o666),
)
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
"""asm-generic/ioctls.h, since Linux 4.13; for x86 and arm."""


def make_devices(root_fd: int, spec: Spec, *, may_make: bool) -> None:
    """Fills /dev unless it is a bind of somebody else's."""
    if any(m.destination == "/dev" and "bind" in m.type + str(m.options) for m in spec.mounts):
        return
    wanted = {device.path: device for device in (*_DEFAULT, *spec.linux.devices)}
    before = os.umask(0)
    for device in wanted.values():
        folder, name = os.path.split(os.path.normpath(device.path))
        parent = open_target(root_fd, folder, directory=True)
        try:
            if may_make:
                _make(parent, name, device)
            else:
                _bind(root_fd, device)
        finally:
            os.close(parent)
    os.umask(before)
    _link(root_fd)


def _make(parent: int, name: str, device: Device) -> None:
    if device.type not in _KINDS:
        raise errors.UsageError(f"{device.path}: unknown type of device {device.type!r}")
    mode = device.file_mode if device.file_mode is not None else 0o666
    numbers = os.makedev(device.major, device.minor) if device.type != "p" else 0
    with suppress(FileExistsError):
        os.mknod(name, _KINDS[device.type] | mode & 0o7777, numbers, dir_fd=parent)
        os.chown(name, device.uid, device.gid, dir_fd=parent, follow_symlinks=False)


def _bind(root_fd: int, device: Device) -> None:
    source = syscalls.open_tree(AT_FDCWD, device.path, OPEN_TREE_CLONE)
    target = open_target(root_fd, device.path, directory=False)
    syscalls.move_mount(source, target)
    os.close(source)
    os.close(target)


def _link(root_fd: int) -> None:
    dev = open_target(root_fd, "/dev", directory=True)
    core = (("core", "/proc/kcore"),) if os.path.exists("/proc/kcore") else ()
    for name, target in (*LINKS, *core):
        if name == "ptmx":
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(name, dir_fd=dev)
        with suppress(FileExistsError):
            os.symlink(target, name, dir_fd=dev)
    os.close(dev)


def open_terminal(root_fd: int, size: ConsoleSize | None) -> tuple[int, int]:
    """(master, slave) of a terminal in the container's devpts; the slave is its /dev/console."""
    with step("open", "/dev/pts/ptmx"):
        master = open_inside(root_fd, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
        slave = new_terminal(master, size)
    with step("mount", "/dev/console"):
        target = open_target(root_fd, "/dev/console", directory=False, follow=False)
        copy = syscalls.open_tree(slave, "", OPEN_TREE_CLONE | AT_EMPTY_PATH)
        syscalls.move_mount(copy, target)
        os.close(copy)
        os.close(target)
    return master, slave


def new_terminal(master: int, size: ConsoleSize | None) -> int:
    """The slave of `master`, unlocked and sized; through the master, never by its name."""
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave: int = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if size is not None and size.height and size.width:
        rows = struct.pack("HHHH", size.height, size.width, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, rows)
    return slave


def take_terminal(slave: int, uid: int) -> None:
    """Makes `slave` this session's terminal and its 0, 1 and 2, owned by the user."""
    with step("ioctl", "TIOCSCTTY"):
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    with suppress(PermissionError):  # the mount of devpts may have decided on a group
        os.fchown(slave, uid, -1)
    for number in range(3):
        os.dup2(slave, number)
    if slave > 2:
        os.close(slave)
