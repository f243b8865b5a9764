"""Signals by name, as docker takes them: `KILL`, `SIGKILL`, `9`, `RTMIN+3`."""

from __future__ import annotations

import re
import signal

from ..errors import UsageError
from ..oci.image import ContainerConfig
from .options import RunOptions

_REALTIME = re.compile(r"RT(MIN|MAX)([+-]\d{1,2})?")


def signal_number(text: str | int) -> int:
    """The number of a signal. Raises UsageError for what is none."""
    name = str(text).strip().upper().removeprefix("SIG")
    number = 0
    if name.isdigit():
        number = int(name[:4])
    elif match := _REALTIME.fullmatch(name):
        base = signal.SIGRTMIN if match[1] == "MIN" else signal.SIGRTMAX
        number = base + int(match[2] or 0)
    elif f"SIG{name}" in signal.Signals.__members__:
        number = signal.Signals[f"SIG{name}"]
    if not 0 < number < signal.NSIG:
        raise UsageError(f"invalid signal: {text}", way_out="for example KILL, SIGTERM or 9")
    return number


def stop_signal(options: RunOptions, config: ContainerConfig) -> int:
    """What `stop` sends first: the option's, the image's, else SIGTERM."""
    return signal_number(options.stop_signal or config.stop_signal or "TERM")
