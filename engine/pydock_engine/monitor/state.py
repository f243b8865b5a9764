"""`state.json`: written by the monitor alone, believed only while it can be true."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import msgspec

from ..container.records import ContainerState
from ..errors import disk_error
from ..paths import ContainerPaths

MAX_BYTES = 64 * 1024
CREATED = ContainerState(status="created")

_decoder = msgspec.json.Decoder(ContainerState)
_encoder = msgspec.json.Encoder()


def write(paths: ContainerPaths, state: ContainerState) -> None:
    """Replaces the state in one step: a reader sees the old one or the new one.

    Survives the death of any process, not a power cut (nothing survives of a container then).
    """
    temporary = paths.state.with_name(".state.json")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, _encoder.encode(state))
        finally:
            os.close(fd)
        os.rename(temporary, paths.state)
    except OSError as error:
        raise disk_error(error, paths.state) from error


def read(paths: ContainerPaths) -> ContainerState:
    """The state as it is now: `running` is `dead`, with a reason, when its monitor has gone."""
    state = read_recorded(paths)
    if state.status != "running" or is_alive(state):
        return state
    return msgspec.structs.replace(
        state, status="dead", pid=0, exit_code=137, error=_cause_of_death(state)
    )


def read_recorded(paths: ContainerPaths) -> ContainerState:
    """What the file says; `created` when there is none, `dead` when it cannot be read."""
    try:
        fd = os.open(paths.state, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return CREATED
    try:
        data = os.read(fd, MAX_BYTES)
    finally:
        os.close(fd)
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        return ContainerState(status="dead", error=f"{paths.state} is damaged: {error}")


def is_alive(state: ContainerState) -> bool:
    """Whether the very process that wrote `state` still runs."""
    if state.boot_id != boot_id():
        return False
    return start_time(state.monitor_pid) == state.monitor_started


def start_time(pid: int) -> int:
    """Clock ticks since boot at which `pid` started; 0 when there is no such process.

    A zombie counts as gone. Source: proc_pid_stat(5), fields 3 and 22.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return 0
    # The second field is the program's name: anything in parentheses, parentheses included.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _cause_of_death(state: ContainerState) -> str:
    if state.boot_id != boot_id():
        return "the machine was restarted while it ran"
    return f"its monitor (pid {state.monitor_pid}) was killed, and the container with it"
