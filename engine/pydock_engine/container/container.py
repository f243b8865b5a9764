"""`Container`: one container, by docker-py's names. Holds no connection and no state of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import Conflict, ContainerDied, ProtocolError, UsageError
from ..monitor import state as states
from ..paths import ContainerPaths, Paths
from ..protocol.channel import Channel
from ..protocol.messages import Done, Exited, Message, Signal, StartContainer, Started, Stop
from ..protocol.messages import Wait as WaitRequest
from ..spawner.client import Spawner
from . import inspect, output
from .plan import read_plan
from .records import ContainerRecord, ContainerState, ContainerSummary, LogEntry
from .removal import Removal
from .run import open_stdin
from .signals import signal_number, stop_signal

STOP_GRACE_S = 10.0
"""Docker's time between the stop signal and SIGKILL."""


@dataclass(frozen=True)
class Tools:
    """What every container of one engine needs to act."""

    paths: Paths
    spawner: Spawner
    removal: Removal


class Container:
    """What `Engine.containers` gives out. Equal when the id is."""

    def __init__(
        self,
        record: ContainerRecord,
        tools: Tools,
        *,
        body: bytes | None = None,
        stdin: int | None = None,
    ) -> None:
        self.record = record
        self.paths: ContainerPaths = tools.paths.container(record.id)
        self.body = body
        """What its program reads when this object starts it; nothing else keeps it."""
        self.stdin = stdin
        self._tools = tools

    def __repr__(self) -> str:
        return f"<Container {self.name} {self.short_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def short_id(self) -> str:
        return self.record.id[:12]

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def image(self) -> str:
        """The reference it was created from."""
        return self.record.image

    @property
    def state(self) -> ContainerState:
        """As it is now; read anew each time."""
        return states.read(self.paths)

    @property
    def status(self) -> str:
        """created, running, exited or dead."""
        return self.state.status

    @property
    def attrs(self) -> dict[str, Any]:
        return self.inspect()

    def summary(self) -> ContainerSummary:
        """A line of `ls`."""
        state = self.state
        ended = state.status in ("exited", "dead")
        return ContainerSummary(
            id=self.id,
            name=self.name,
            image=self.image,
            command=" ".join(self.record.command),
            created_at=self.record.created_at,
            status=state.status,
            exit_code=state.exit_code if ended else None,
            started_at=state.started_at,
            finished_at=state.finished_at,
            isolation=state.isolation,
        )

    def inspect(self) -> dict[str, Any]:
        """As `docker inspect` shows it: docker's keys, JSON types."""
        return inspect.document(read_plan(self.paths), self.state, self._tools.paths)

    def start(self) -> Started:
        """Runs the program; returns once it executes.

        Raises
        ------
        Conflict
            It is running.
        CommandNotFound, CommandNotExecutable, Unsupported, SyscallError
            It cannot be started; the container stays as it was.
        """
        with open_stdin(self.body, self.stdin) as stdin, self._tools.spawner.open() as channel:
            request = StartContainer(container_id=self.id, stdin=stdin is not None)
            channel.send(request, () if stdin is None else (stdin,))
            return channel.expect(Started)

    def stop(self, timeout: float = STOP_GRACE_S, *, signal: str | int | None = None) -> None:
        """Asks the program to end, kills everything inside after `timeout` seconds; waits for it.

        Nothing happens when it is not running.
        """
        if signal is None:
            number = stop_signal(self.record.options, read_plan(self.paths).image_config)
        else:
            number = signal_number(signal)
        self._end(Stop(signals=(number,), grace_s=timeout))

    def kill(self, signal: str | int = "KILL") -> None:
        """Sends one signal to the program (KILL: to everything inside) and waits for nothing.

        Raises
        ------
        Conflict
            It is not running.
        UsageError
            There is no such signal.
        """
        number = signal_number(signal)
        request: Message = Stop(signals=()) if number == 9 else Signal(number=number)
        with self._monitor() as channel:
            try:
                channel.send(request)
                channel.expect(Done)
            except (OSError, ProtocolError) as error:  # it ended while we asked
                raise self._not_running() from error

    def wait(self) -> int:
        """Exit code (128+n for a death by signal n), once the program has ended.

        Returns at once when it is not running.

        Raises
        ------
        ContainerDied
            Its monitor was killed, so nobody knows.
        """
        while (end := self._wait()) is None and self.status == "running":
            time.sleep(0.002)  # a monitor being killed hangs up some moments before it is gone
        return self.exit_code() if end is None else end.exit_code

    def exit_code(self) -> int:
        """As recorded at the last end; 0 when there was none. Raises ContainerDied."""
        state = self.state
        if state.status == "dead":
            raise ContainerDied(f"container {self.name} is dead: {state.error}", id=self.id)
        return state.exit_code

    def remove(self, *, force: bool = False) -> None:
        """Takes it away with everything it wrote; `force` kills it first.

        Raises
        ------
        Conflict
            It runs.
        """
        if force:
            self._end(Stop(signals=()))
            self._tools.removal.remove_when_free(self.record)
        elif self.status == "running":
            raise Conflict(
                f"container {self.name} is running",
                way_out="stop it first, or remove it with --force",
                id=self.id,
            )
        else:
            self._tools.removal.remove(self.record)

    def output(self, *, follow: bool = False, tail: int | None = None) -> Iterator[LogEntry]:
        """The log, line by line, stdout and stderr in the order they came.

        `tail` is how many lines to begin with (all when None), `follow` goes on until the end.
        """
        return output.read_output(self.paths, follow=follow, tail=tail)

    def logs(
        self,
        *,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool = False,
        follow: bool = False,
        tail: int | str = "all",
    ) -> bytes | Iterator[bytes]:
        """The output as bytes; piece by piece when `stream` or `follow`."""
        if not (tail == "all" or (isinstance(tail, int) and tail >= 0)):
            raise UsageError(f"tail is a number of lines or 'all', not {tail!r}")
        wanted = {name for name, on in (("stdout", stdout), ("stderr", stderr)) if on}
        lines = None if tail == "all" else int(tail)
        found = self.output(follow=follow, tail=lines)
        pieces = (piece.data for piece in found if piece.stream in wanted)
        return pieces if stream or follow else b"".join(pieces)

    def _end(self, request: Stop) -> None:
        try:
            channel = self._monitor()
        except Conflict:
            return
        with channel:
            try:
                channel.send(request)
                channel.send(WaitRequest())
                channel.expect(Done)
                channel.expect(Exited)
            except (ProtocolError, Conflict, OSError):
                pass  # it ended, or its monitor did, while we asked

    def _wait(self) -> Exited | None:
        try:
            channel = self._monitor()
        except Conflict:
            return None
        with channel:
            try:
                channel.send(WaitRequest())
                return channel.expect(Exited)
            except (ProtocolError, OSError):
                return None

    def _not_running(self) -> Conflict:
        return Conflict(f"container {self.name} is not running", id=self.id)

    def _monitor(self) -> Channel:
        """A connection to its monitor. Raises Conflict when there is none."""
        try:
            channel = Channel.connect(self.paths.socket)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise self._not_running() from error
        if channel.peer_uid() != os.geteuid():
            channel.close()
            raise ProtocolError(f"{self.paths.socket} is answered by another user")
        return channel
