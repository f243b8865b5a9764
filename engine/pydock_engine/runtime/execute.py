"""The last step: finding the program and becoming it, or saying in one line why not."""

from __future__ import annotations

import errno
import os
import stat
from typing import NoReturn

from .. import errors
from ..oci.runtime import Process

_MISSING = "check the spelling; a line with pipes or variables is run by `sh -c '…'`"
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# e_machine of ELF headers (elf.h), by the names images use for platforms.
_MACHINES = {3: "386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "amd64"}
_MACHINES |= {183: "arm64", 243: "riscv64", 258: "loong64"}


def execute(process: Process) -> NoReturn:
    """Replaces this process. Raises CommandNotFound, CommandNotExecutable or SyscallError."""
    command = process.args[0]
    environment = _environment(process.env)
    denied: OSError | None = None
    for path in _candidates(command, environment.get(b"PATH")):
        try:
            os.execve(path, process.args, environment)  # noqa: S606
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR) and not _is_file(path):
                continue
            if error.errno == errno.EACCES and "/" not in command:
                denied = denied or error  # as execvp(3): a later one on PATH may be allowed
                continue
            raise _refused(command, path, error) from error
    if denied is not None:
        raise _refused(command, command, denied) from denied
    where = "no such file in the image" if "/" in command else "not found on PATH in the image"
    raise errors.CommandNotFound(f"{command}: {where}", way_out=_MISSING, command=command)


def _environment(entries: tuple[str, ...]) -> dict[bytes, bytes]:
    """Later entries win. Bytes, because a value need not be UTF-8 (surrogate escapes)."""
    result = {}
    for entry in entries:
        name, _, value = os.fsencode(entry).partition(b"=")
        result[name] = value
    return result


def _candidates(command: str, path: bytes | None) -> list[str]:
    if "/" in command:
        return [command]
    if not command:
        return []
    folders = os.fsdecode(path).split(":") if path is not None else _DEFAULT_PATH.split(":")
    return [f"{folder or '.'}/{command}" for folder in folders]


def _is_file(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _refused(command: str, path: str, error: OSError) -> errors.PydockError:
    """Why execve said no to a file that is there."""
    number = error.errno or errno.EIO
    if number in (errno.ENOENT, errno.ENOTDIR):
        reason = f"its interpreter {_interpreter(path)} is not in the image"
    elif number == errno.ENOEXEC:
        reason = _wrong_format(path)
    elif number == errno.EACCES:
        reason = "is a folder" if _is_directory(path) else "is not executable by this user"
    elif number == errno.E2BIG:
        reason = "arguments and environment are too long"
    else:
        return errors.SyscallError.from_os_error("execve", error, path)
    return errors.CommandNotExecutable(f"{command}: {reason}", command=command, errno=number)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def _head(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(fd, 256)
    finally:
        os.close(fd)


def _interpreter(path: str) -> str:
    head = _head(path)
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].split()
        return os.fsdecode(words[0]) if words else "(empty)"
    return "(of a dynamic program)"


def _wrong_format(path: str) -> str:
    head = _head(path)
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return "is neither a program nor a script with a `#!` line"
    order = "big" if head[5] == 2 else "little"
    machine = int.from_bytes(head[18:20], "big" if order == "big" else "little")
    name = _MACHINES.get(machine, f"machine {machine}")
    return f"is a program for {name}, this machine is {os.uname().machine}"
