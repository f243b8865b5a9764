"""The program of a process: looked for before anybody is told it could start, and its HOME.

Runs inside the container, with its user's rights.
"""

from __future__ import annotations

import contextlib
import os
import stat

import msgspec

from ... import errors
from ...oci.runtime import Process

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_PASSWD_BYTES = 4 << 20


def check_program(process: Process) -> None:
    """Raises CommandNotFound, CommandNotExecutable: an error of `create`, as with runc."""
    command = process.args[0]
    folders = next(
        (entry[5:] for entry in reversed(process.env) if entry.startswith("PATH=")), _DEFAULT_PATH
    )
    candidates = [command]
    if "/" not in command:
        candidates = [f"{folder or '.'}/{command}" for folder in folders.split(":")]
    denied = False
    for path in candidates:
        with contextlib.suppress(OSError):
            mode = os.stat(path).st_mode
            if stat.S_ISREG(mode) and os.access(path, os.X_OK):
                return
            denied = True
    if denied:
        raise errors.CommandNotExecutable(f"exec: {command!r}: permission denied")
    if "/" in command:
        raise errors.CommandNotFound(f'exec: "{command}": stat: no such file or directory')
    raise errors.CommandNotFound(f'exec: "{command}": executable file not found in $PATH')


def with_home(process: Process) -> Process:
    """`process` with HOME set as its /etc/passwd has it, unless it has one."""
    if any(entry.startswith("HOME=") for entry in process.env):
        return process
    home = f"HOME={_home_of(process.user.uid)}"
    return msgspec.structs.replace(process, env=(*process.env, home))


def _home_of(uid: int) -> str:
    with contextlib.suppress(OSError):
        fd = os.open("/etc/passwd", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            lines = os.read(fd, _MAX_PASSWD_BYTES).decode(errors="replace").splitlines()
        finally:
            os.close(fd)
        for line in lines:
            fields = line.split(":")
            if len(fields) > 5 and fields[2] == str(uid):
                return fields[5] or "/"
    return "/"
