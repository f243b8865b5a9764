"""Hooks: programs of the caller's that run at set points, the container's state on their stdin.

Started with posix_spawn, from the runtime or from init; a memfd each for what they read and say.
Source: runtime-spec config.md, "POSIX-platform Hooks".
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable

from ... import errors
from ...oci.runtime import Hook

_SAID_BYTES = 2048


def run_hooks(kind: str, hooks: Iterable[Hook], state: bytes) -> None:
    """Runs each to its end. Raises ContainerError naming the first that fails or takes too long."""
    for hook in hooks:
        reason = _run(hook, state)
        if reason:
            raise errors.ContainerError(f"{kind} hook {hook.path}: {reason}")


def _run(hook: Hook, state: bytes) -> str:
    """Why it failed, or nothing."""
    given, said = os.memfd_create("state"), os.memfd_create("said")
    try:
        os.write(given, state)
        os.lseek(given, 0, os.SEEK_SET)
        actions = [
            (os.POSIX_SPAWN_DUP2, given, 0),
            (os.POSIX_SPAWN_DUP2, said, 1),
            (os.POSIX_SPAWN_DUP2, said, 2),
        ]
        try:
            pid = os.posix_spawn(
                hook.path,
                list(hook.args) or [hook.path],
                os.environ if hook.env is None else _environment(hook.env),
                file_actions=actions,
                setsigmask=(),
            )
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
        status = _wait(pid, hook.timeout)
        text = os.pread(said, _SAID_BYTES, 0).decode(errors="replace").strip()
    finally:
        os.close(given)
        os.close(said)
    if status is None:
        return f"took longer than {hook.timeout} s"
    code = os.waitstatus_to_exitcode(status)
    return f"ended with {code}: {text}" if code else ""


def _wait(pid: int, timeout_s: int | None) -> int | None:
    """The wait status, or None when the time ran out and it was killed."""
    if timeout_s is None:
        return os.waitpid(pid, 0)[1]
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ready = poll.poll(timeout_s * 1000)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    os.close(pidfd)
    return status if ready else None


def _environment(entries: Iterable[str]) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in entries)
