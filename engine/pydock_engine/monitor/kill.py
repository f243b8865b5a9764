"""Ending a container: ask, ask louder, then kill everything inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtime.cgroups.group import Cgroup
from ..runtime.create import InitProcess

INTERRUPT_SIGNALS = (2, 15)
"""What a notebook's interrupt and `--timeout` ask with before they kill."""

INTERRUPT_GRACE_S = 0.7
"""Twice this, and a kill, stay below the two seconds an interrupt may take."""


class Ladder:
    """Signals to send one after the other, `grace_s` between them, SIGKILL at the end.

    Init of a pid namespace never sees a signal it has no handler for (pid_namespaces(7)); waiting
    after such a one would be waiting for nothing, so the next follows at once.
    """

    def __init__(
        self, init: InitProcess, cgroup: Cgroup, signals: tuple[int, ...], grace_s: float
    ) -> None:
        self._init = init
        self._cgroup = cgroup
        self._signals = list(signals)
        self._grace_s = grace_s

    def step(self) -> float | None:
        """Sends the next signal; seconds until the next step, None when all is killed."""
        while self._signals:
            number = self._signals.pop(0)
            heard = can_hear(self._init.pid, number)
            self._init.send_signal(number)
            if heard:
                return self._grace_s
        kill_everything(self._init, self._cgroup)
        return None


def kill_everything(init: InitProcess, cgroup: Cgroup) -> None:
    """SIGKILL to init, whose pid namespace dies with it, and to whatever else is in its groups."""
    init.kill()
    cgroup.kill()


def can_hear(pid: int, number: int, read: Callable[[int], str] | None = None) -> bool:
    """Whether init has a handler for the signal, or blocks it to fetch it itself.

    Source: proc_pid_status(5), SigCgt and SigBlk.
    """
    try:
        status = (read or _status)(pid)
    except OSError:
        return False
    masks = 0
    for line in status.splitlines():
        if line.startswith(("SigCgt:", "SigBlk:")):
            masks |= int(line.split()[1], 16)
    return bool(masks >> (number - 1) & 1)


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
