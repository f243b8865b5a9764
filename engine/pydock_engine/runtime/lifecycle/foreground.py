"""`run`: create, start, wait, delete; and waiting for a process with signals handed on."""

from __future__ import annotations

import contextlib
import os
import signal

from ...oci.runtime import Spec
from .. import syscalls
from .actions import delete, start
from .create import CreateOptions, create
from .state import Container

_NOT_HANDED_ON = {signal.SIGCHLD, signal.SIGURG, signal.SIGKILL, signal.SIGSTOP}


def run(container: Container, spec: Spec, options: CreateOptions, *, keep: bool = False) -> int:
    """The program's exit status, 128+n for a death by signal n. Nothing of it is left."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    record = create(container, spec, options)
    start_or_delete(container)
    status = wait(record.pid)
    if not keep:
        delete(container, force=True)
    return status


def start_or_delete(container: Container) -> int:
    try:
        start(container)
    except BaseException:
        delete(container, force=True)
        raise
    return 0


def wait(pid: int) -> int:
    """The exit status of our child `pid`, which gets the signals sent to us meanwhile."""

    def hand_on(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in signal.valid_signals() - _NOT_HANDED_ON:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, hand_on)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
