"""Forked children that put a filter into force and then do something under it."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import traceback
from collections.abc import Callable, Iterable

from pydock_engine.oci.seccomp import LinuxSeccomp
from pydock_engine.runtime import syscalls
from pydock_engine.runtime.capabilities import DEFAULT
from pydock_engine.runtime.seccomp.default_profile import default_profile, kernel_version
from pydock_engine.runtime.seccomp.numbers import abis_of, tables
from pydock_engine.runtime.seccomp.program import flags_of, install, program_for

MACHINE = os.uname().machine
NUMBERS = tables()[abis_of(MACHINE)[0].column]
KERNEL = kernel_version(os.uname().release)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def docker_like(*more_capabilities: str) -> LinuxSeccomp:
    """The default profile of this machine."""
    return default_profile([*DEFAULT, *more_capabilities], KERNEL, MACHINE)


def error_of(name: str, *args: int) -> str:
    """What the call by that number fails with, `ok` if it does not."""
    ctypes.set_errno(0)
    result = _libc.syscall(ctypes.c_long(NUMBERS[name]), *(ctypes.c_long(arg) for arg in args))
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def under(seccomp: LinuxSeccomp, action: Callable[[], object]) -> str:
    """What `action` returned under `seccomp`, as a string, or the signal it died of."""
    program, flags = program_for(seccomp, MACHINE), flags_of(seccomp)

    def child() -> str:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        install(program, flags)
        return str(action())

    return in_child(child)


def in_child(action: Callable[[], str]) -> str:
    """What `action` returned in a forked child, or the name of the signal that ended it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, action().encode())
        except BaseException:
            os.write(write, traceback.format_exc().encode())
        os._exit(0)
    os.close(write)
    said = read_all(read)
    status = os.waitpid(pid, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said


def output_under(seccomp: LinuxSeccomp, command: Iterable[str]) -> str:
    """What `command` printed, stderr included, when it was executed under `seccomp`."""
    argv = list(command)
    read, write = os.pipe()
    program, flags = program_for(seccomp, MACHINE), flags_of(seccomp)
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(write, 1)
            os.dup2(write, 2)
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            install(program, flags)
            os.execv(argv[0], argv)
        except BaseException:
            os.write(write, traceback.format_exc().encode())
        os._exit(1)
    os.close(write)
    said = read_all(read)
    status = os.waitpid(pid, 0)[1]
    return said if status == 0 else f"{said} (wait status {status})"


def read_all(fd: int) -> str:
    with open(fd, "rb") as file:
        return file.read().decode()
