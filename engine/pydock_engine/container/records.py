"""What the engine says about containers: plain immutable records, no screen, no frames."""

from __future__ import annotations

import msgspec

from .options import RunOptions


class ContainerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`state.json`: written by the monitor alone. `status` is created, running, exited or dead."""

    status: str
    pid: int = 0
    """Init in the host's pid namespace while running, else 0."""
    pid_started: int = 0
    """Start time of `pid` in clock ticks since boot (field 22 of /proc/PID/stat)."""
    monitor_pid: int = 0
    monitor_started: int = 0
    boot_id: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    timed_out: bool = False
    error: str = ""
    """Why it could not start, or why it is dead."""
    started_at: str = ""
    """RFC 3339, UTC, nanoseconds; empty when it never started."""
    finished_at: str = ""
    duration_s: float = 0.0
    isolation: str = ""
    not_applied: tuple[str, ...] = ()


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the database: what never changes after `create`."""

    id: str
    """64 hex digits."""
    name: str
    image: str
    """The reference it was asked for by."""
    image_id: str
    """Digest of the config blob."""
    created_at: str
    command: tuple[str, ...]
    """Entrypoint and arguments as they will be executed."""
    options: RunOptions
    userns_slot: int = -1
    """Which range of host ids its user namespace gets; -1 for none."""


class ContainerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `ls`."""

    id: str
    name: str
    image: str
    command: str
    created_at: str
    status: str
    exit_code: int | None
    """None until it has ended."""
    started_at: str
    finished_at: str
    isolation: str


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a container's output, or a piece of one longer than 16 KiB."""

    stream: str
    """`stdout` or `stderr`."""
    data: bytes
    """As the program wrote it, with its newline when it has one."""
    time: str
    """RFC 3339, UTC, nanoseconds."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a foreground run ended. `stdout` and `stderr` are decoded with replacement.

    `truncated` tells that the two hold only the beginning; the log file has everything.
    """

    exit_code: int
    stdout: str
    stderr: str
    duration_s: float
    oom_killed: bool
    timed_out: bool
    container_id: str
    name: str
    image: str
    isolation: str
    not_applied: tuple[str, ...]
    truncated: bool = False
