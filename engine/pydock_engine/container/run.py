"""A foreground run: from the request to the result, with interrupts on the way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import ContainerDied, ContainerError, ContainerTimeout, PydockError
from ..monitor.kill import INTERRUPT_GRACE_S, INTERRUPT_SIGNALS
from ..protocol.channel import Channel
from ..protocol.messages import Anything, Exited, Output, StartContainer, Started, Stop
from ..spawner.client import Spawner
from .records import ContainerRecord, RunResult

OnOutput = Callable[[str, bytes], None]
"""Called with `stdout` or `stderr` and bytes, in the thread of the caller, as they come."""

CAPTURE_BYTES = 4 << 20
"""How much of each stream a result holds."""

KILL_WAIT_S = 10.0
"""How long a killed container may take to go before an interrupt returns without it."""


@dataclass
class _Captured:
    """The beginning of both streams."""

    limit: int
    truncated: bool = False
    streams: dict[str, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()}
    )

    def add(self, stream: str, data: bytes) -> None:
        held = self.streams[stream]
        room = self.limit - len(held)
        held += data[:room]
        self.truncated = self.truncated or len(data) > room

    def text(self, stream: str) -> str:
        return self.streams[stream].decode("utf-8", "replace")


class ForegroundRun:
    """One container from start to end, over one connection to its monitor."""

    def __init__(
        self,
        record: ContainerRecord,
        spawner: Spawner,
        on_output: OnOutput | None = None,
        capture_bytes: int = CAPTURE_BYTES,
    ) -> None:
        self._record = record
        self._spawner = spawner
        self._on_output = on_output
        self._captured = _Captured(capture_bytes)
        self._started: Started | None = None

    def run(self, stdin: int | None) -> RunResult:
        """The result; the program has ended and its end is on disk.

        Raises
        ------
        KeyboardInterrupt
            After the program has been ended, within two seconds; a second interrupt kills at once.
        ContainerDied
            The monitor was killed.
        PydockError
            Whatever kept the container from starting.
        """
        with self._spawner.open() as channel:
            fds = () if stdin is None else (stdin,)
            request = StartContainer(
                container_id=self._record.id, attach=True, stdin=stdin is not None
            )
            try:
                channel.send(request, fds)
                end = self._until_end(channel)
            except BaseException:
                self._interrupt(channel)
                raise
        return self._result(end)

    def _until_end(self, channel: Channel) -> Exited:
        """Passes output on until the end."""
        if self._started is None:
            self._started = channel.expect(Started)
        while True:
            message = _receive(channel)
            if isinstance(message, Output):
                self._captured.add(message.stream, message.data)
                if self._on_output is not None:
                    self._on_output(message.stream, message.data)
            elif isinstance(message, Exited):
                return message
            elif message is None:
                raise ContainerDied(
                    f"container {self._record.name} is dead: its monitor was killed",
                    way_out="see spawner.log in the run directory",
                    id=self._record.id,
                )

    def _interrupt(self, channel: Channel) -> None:
        """Ends the program, listening to the rest of its output; again interrupted: at once."""
        request = Stop(signals=INTERRUPT_SIGNALS, grace_s=INTERRUPT_GRACE_S)
        for _ in range(2):
            try:
                channel.set_timeout(KILL_WAIT_S)
                channel.send(request)
                self._until_end(channel)
            except KeyboardInterrupt:
                request = Stop(signals=())
                continue
            except (OSError, PydockError):
                pass  # it has gone already
            return

    def _result(self, end: Exited) -> RunResult:
        assert self._started is not None
        return RunResult(
            exit_code=end.exit_code,
            stdout=self._captured.text("stdout"),
            stderr=self._captured.text("stderr"),
            duration_s=end.duration_s,
            oom_killed=end.oom_killed,
            timed_out=end.timed_out,
            container_id=self._record.id,
            name=self._record.name,
            image=self._record.image,
            isolation=self._started.isolation,
            not_applied=self._started.not_applied,
            truncated=self._captured.truncated,
        )


def raise_for_status(result: RunResult) -> RunResult:
    """`result`, when its program ended with 0.

    Raises
    ------
    ContainerTimeout
        `--timeout` ended it.
    ContainerError
        Any other exit code; `.result` has everything.
    """
    if result.timed_out:
        error: ContainerError = ContainerTimeout(
            f"{result.name} was ended by its time-out, after {result.duration_s:.1f} s",
            way_out="give it more time, or less to do",
        )
    elif result.exit_code:
        memory = " (out of memory)" if result.oom_killed else ""
        error = ContainerError(
            f"{result.name} ended with exit code {result.exit_code}{memory}",
            exit_code=result.exit_code,
        )
    else:
        return result
    error.result = result
    raise error


@contextmanager
def open_stdin(body: bytes | None, stdin: int | None) -> Iterator[int | None]:
    """What the program's stdin will be: a sealed memfd with `body`, the descriptor, or nothing.

    Nobody has to pump it, and nobody can change it any more (memfd_create(2), F_ADD_SEALS).
    """
    if body is None:
        yield stdin
        return
    fd = os.memfd_create("body", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(os.dup(fd), "wb") as file:
            file.write(body)
        os.lseek(fd, 0, os.SEEK_SET)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        yield fd
    finally:
        os.close(fd)


def _receive(channel: Channel) -> Anything | None:
    try:
        return channel.receive()
    except ConnectionResetError:
        return None
