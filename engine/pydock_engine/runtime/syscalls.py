"""System calls Python has no function for: thin, typed, errno raised as OSError.

The only module that imports ctypes. Calls glibc wraps late or never go through syscall(2) by
number; the numbers below 424 differ between machines, the later ones are the same everywhere.
Variadic calls receive 64-bit arguments, so every argument is declared `c_long` or a pointer:
a Python int passed undeclared would travel as a 32-bit one.

Source: the kernel's include/uapi headers, and each call's manual page.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from ctypes import c_char_p, c_int, c_long, c_ulong, c_void_p
from typing import Final, NoReturn

AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_RECURSIVE: Final = 0x8000

# linux/sched.h
CLONE_NEWTIME: Final = 0x00000080
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
_CLONE_PIDFD: Final = 0x00001000
_CLONE_INTO_CGROUP: Final = 0x200000000

# linux/openat2.h (5.6)
RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

# linux/mount.h
MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MS_UNBINDABLE: Final = 1 << 17
MNT_DETACH: Final = 0x2
UMOUNT_NOFOLLOW: Final = 0x8

OPEN_TREE_CLONE: Final = 0x1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x04
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40

FSOPEN_CLOEXEC: Final = 0x1
FSMOUNT_CLOEXEC: Final = 0x1
FSCONFIG_SET_FLAG: Final = 0
FSCONFIG_SET_STRING: Final = 1
FSCONFIG_SET_FD: Final = 5
FSCONFIG_CMD_CREATE: Final = 6

MOUNT_ATTR_RDONLY: Final = 0x01
MOUNT_ATTR_NOSUID: Final = 0x02
MOUNT_ATTR_NODEV: Final = 0x04
MOUNT_ATTR_NOEXEC: Final = 0x08
MOUNT_ATTR_IDMAP: Final = 0x00100000

# linux/prctl.h
PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_SET_NAME: Final = 15
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

CLOSE_RANGE_CLOEXEC: Final = 0x4
CAPABILITY_VERSION_3: Final = 0x20080522
_KEYCTL_JOIN_SESSION_KEYRING: Final = 1
_SECCOMP_SET_MODE_FILTER: Final = 1

# Machines number the older calls differently; everything from 424 on is shared.
_NUMBERS: Final = {
    "x86_64": {"pivot_root": 155, "capget": 125, "capset": 126, "keyctl": 250, "seccomp": 317},
    "aarch64": {"pivot_root": 41, "capget": 90, "capset": 91, "keyctl": 219, "seccomp": 277},
}
_MACHINE: Final = os.uname().machine
_OLD: Final = _NUMBERS.get(_MACHINE, {})
_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_CLONE3: Final = 435
_CLOSE_RANGE: Final = 436
_OPENAT2: Final = 437
_MOUNT_SETATTR: Final = 442

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = c_long


def _function(name: str, *argtypes: type) -> ctypes._NamedFuncPointer:
    function: ctypes._NamedFuncPointer = getattr(_libc, name)
    function.argtypes = argtypes
    function.restype = c_int
    return function


_unshare = _function("unshare", c_int)
_setns = _function("setns", c_int, c_int)
_mount = _function("mount", c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_umount2 = _function("umount2", c_char_p, c_int)
_prctl = _function("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)
_setfsuid = _function("setfsuid", ctypes.c_uint)
_setfsgid = _function("setfsgid", ctypes.c_uint)
_sethostname = _function("sethostname", c_char_p, ctypes.c_size_t)
_setdomainname = _function("setdomainname", c_char_p, ctypes.c_size_t)

Path = str | bytes | os.PathLike[str]


def _raise(subject: object = None) -> NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), subject)


def _check(result: int, subject: object = None) -> int:
    if result < 0:
        _raise(subject)
    return result


def _number(name: str) -> int:
    try:
        return _OLD[name]
    except KeyError:
        raise OSError(38, f"{name}(2): unknown machine {_MACHINE}") from None


def unshare(flags: int) -> None:
    _check(_unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    _check(_setns(fd, kind))


def clone(flags: int, cgroup_fd: int | None = None) -> tuple[int, int]:
    """Like `os.fork()`, with the child born in the namespaces of `flags` and the v2 group
    `cgroup_fd`. Returns (pid, pidfd) to the parent and (0, -1) to the child. Since Linux 5.7.

    For single-threaded processes only. The GIL stays held across the call (PyDLL) and Python's
    own fork hooks run, so the child is as good as one of `os.fork()`.
    """
    pidfd = c_int(-1)
    flags |= _CLONE_PIDFD | (0 if cgroup_fd is None else _CLONE_INTO_CGROUP)
    # struct clone_args: flags, pidfd, 2 tids, exit signal, stack, size, tls, set_tid, size, cgroup
    fields = (flags, ctypes.addressof(pidfd), 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup_fd or 0)
    arguments = struct.pack("=11Q", *fields)
    _before_fork()
    pid = int(_held_syscall(_CLONE3, arguments, len(arguments)))
    if pid == 0:
        _after_fork_child()
        return 0, -1
    number = ctypes.get_errno()
    _after_fork_parent()
    if pid < 0:
        raise OSError(number, os.strerror(number))
    return pid, pidfd.value


_held_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_held_syscall.argtypes = (c_long, c_char_p, c_long)
_held_syscall.restype = c_long
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child
_after_fork_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
for _hook in (_before_fork, _after_fork_child, _after_fork_parent):
    _hook.argtypes = ()
    _hook.restype = None


# -- paths and mounts ------------------------------------------------------------------------


def openat2(dir_fd: int, path: Path, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """A descriptor (close-on-exec) for `path` below `dir_fd`, resolved as `resolve` allows.

    Raises OSError: EXDEV when the path would leave, ELOOP for a symlink where none may be,
    EAGAIN after a racing rename (the caller tries again).
    """
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    return _check(
        _syscall(c_long(_OPENAT2), c_long(dir_fd), c_char_p(name), c_char_p(how), c_long(24)), name
    )


def mount(source: str | None, target: Path, kind: str | None, flags: int, data: str = "") -> None:
    result = _mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        flags,
        data.encode() or None,
    )
    _check(result, target)


def umount2(target: Path, flags: int = 0) -> None:
    _check(_umount2(os.fsencode(target), flags), target)


def pivot_root(new_root: Path, put_old: Path) -> None:
    number = _number("pivot_root")
    new, old = os.fsencode(new_root), os.fsencode(put_old)
    _check(_syscall(c_long(number), c_char_p(new), c_char_p(old)), new_root)


def open_tree(dir_fd: int, path: Path, flags: int = 0) -> int:
    """An O_PATH descriptor, or with OPEN_TREE_CLONE a detached copy of the mount at `path`."""
    name = os.fsencode(path)
    return _check(
        _syscall(
            c_long(_OPEN_TREE), c_long(dir_fd), c_char_p(name), c_long(flags | OPEN_TREE_CLOEXEC)
        ),
        path,
    )


def move_mount(from_fd: int, to_fd: int, to_path: Path = "") -> None:
    """Attaches the detached mount `from_fd` at `to_path` below `to_fd` (empty: at `to_fd`)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | (0 if to_path else MOVE_MOUNT_T_EMPTY_PATH)
    target = os.fsencode(to_path)
    _check(
        _syscall(
            c_long(_MOVE_MOUNT),
            c_long(from_fd),
            c_char_p(b""),
            c_long(to_fd),
            c_char_p(target),
            c_long(flags),
        ),
        to_path or None,
    )


def mount_setattr(
    fd: int,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
    recursive: bool = False,
) -> None:
    """Changes the mount `fd` stands for; MOUNT_ATTR_IDMAP takes `userns_fd`. Since Linux 5.12."""
    attr = struct.pack("=QQQQ", attr_set, attr_clr, propagation, userns_fd)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _check(
        _syscall(
            c_long(_MOUNT_SETATTR),
            c_long(fd),
            c_char_p(b""),
            c_long(flags),
            c_char_p(attr),
            c_long(len(attr)),
        )
    )


def fsopen(kind: str) -> int:
    """A descriptor to configure a new filesystem of `kind` with."""
    return _check(_syscall(c_long(_FSOPEN), c_char_p(kind.encode()), c_long(FSOPEN_CLOEXEC)), kind)


def fsconfig(
    fd: int, command: int, key: str | None, value: Path | None = None, aux: int = 0
) -> None:
    """One step of configuring `fd`; the kernel's own words, if any, are in `fs_messages(fd)`."""
    _check(
        _syscall(
            c_long(_FSCONFIG),
            c_long(fd),
            c_long(command),
            c_char_p(None if key is None else key.encode()),
            c_char_p(None if value is None else os.fsencode(value)),
            c_long(aux),
        ),
        key,
    )


def fsmount(fd: int, attributes: int = 0) -> int:
    """The configured filesystem `fd` as a detached mount, with MOUNT_ATTR_* `attributes`."""
    return _check(
        _syscall(c_long(_FSMOUNT), c_long(fd), c_long(FSMOUNT_CLOEXEC), c_long(attributes))
    )


def fs_messages(fd: int) -> str:
    """What the filesystem said while it was configured, one message a line; may be empty."""
    lines: list[bytes] = []
    while len(lines) < 16:
        try:
            lines.append(os.read(fd, 4096))
        except OSError:
            break
    return "\n".join(line.decode(errors="replace").strip() for line in lines)


# -- the process -----------------------------------------------------------------------------


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    return _check(_prctl(option, arg2, arg3, arg4, arg5))


def set_name(name: str) -> None:
    """Names this thread in /proc and ps: 15 bytes at most."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    _check(_prctl(PR_SET_NAME, ctypes.addressof(buffer), 0, 0, 0))


def setdomainname(name: str) -> None:
    encoded = os.fsencode(name)
    _check(_setdomainname(encoded, len(encoded)), name)


def sethostname(name: str) -> None:
    encoded = os.fsencode(name)
    _check(_sethostname(encoded, len(encoded)), name)


def capget() -> tuple[int, int, int]:
    """This thread's (effective, permitted, inheritable) capabilities as bit masks."""
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _check(_syscall(c_long(_number("capget")), c_char_p(header), c_void_p(ctypes.addressof(data))))
    low_e, low_p, low_i, high_e, high_p, high_i = struct.unpack("=6I", data.raw)
    return low_e | high_e << 32, low_p | high_p << 32, low_i | high_i << 32


def capset(effective: int, permitted: int, inheritable: int) -> None:
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    low = [mask & 0xFFFFFFFF for mask in (effective, permitted, inheritable)]
    high = [mask >> 32 for mask in (effective, permitted, inheritable)]
    data = struct.pack("=6I", *low, *high)
    _check(_syscall(c_long(_number("capset")), c_char_p(header), c_char_p(data)))


def set_filesystem_ids(uid: int, gid: int) -> None:
    """Files are made and judged as `uid`:`gid` from now on; capabilities stay as they are.

    The kernel drops the file capabilities when fsuid leaves 0; they are raised again, since they
    are still permitted.
    """
    capabilities = capget()
    for change, value in ((_setfsgid, gid), (_setfsuid, uid)):
        change(value)
        if change(0xFFFFFFFF) != value:  # reports the current id and changes nothing
            raise OSError(1, "Operation not permitted", value)
    capset(*capabilities)


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """Closes (or with CLOSE_RANGE_CLOEXEC marks) every descriptor in the range. Since 5.9."""
    _check(_syscall(c_long(_CLOSE_RANGE), c_long(first), c_long(last), c_long(flags)))


def join_session_keyring() -> None:
    """A fresh, anonymous session keyring, so that the parent's keys cannot be reached."""
    _check(
        _syscall(c_long(_number("keyctl")), c_long(_KEYCTL_JOIN_SESSION_KEYRING), c_void_p(None))
    )


def seccomp_set_mode_filter(flags: int, instructions: bytes) -> None:
    """Filters this thread's calls from now on by `instructions`, an array of struct sock_filter."""
    address = ctypes.cast(c_char_p(instructions), c_void_p).value
    program = c_char_p(struct.pack("@HP", len(instructions) // 8, address))
    mode = c_long(_SECCOMP_SET_MODE_FILTER)
    _check(_syscall(c_long(_number("seccomp")), mode, c_long(flags), program))
