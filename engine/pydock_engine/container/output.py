"""A container's output: from its log, and with `follow` on from its monitor, without a gap."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..monitor.log import MAX_LINE_BYTES, Entry, split_lines
from ..monitor.logreader import read_block, tail_offset
from ..paths import ContainerPaths
from ..protocol.channel import Channel
from ..protocol.messages import Attach, Exited, Output
from .records import LogEntry


def read_output(
    paths: ContainerPaths, *, follow: bool = False, tail: int | None = None
) -> Iterator[LogEntry]:
    """Lines in the order they came, from the last `tail` lines (or the beginning) on.

    With `follow` until the container ends. Should its monitor be killed meanwhile, the rest
    comes from the file.
    """
    history = _History(paths, tail)
    try:
        yield from history.entries()
        channel = _attach(paths, history.offset) if follow else None
        if channel is None:
            if follow:  # it may have ended just now
                yield from history.entries()
            return
        with channel:
            lines = _Lines()
            while isinstance(message := _receive(channel), Output):
                yield from lines.split(message)
            yield from lines.rest()
        if message is None:
            yield from history.entries(known=lines.given)
    finally:
        history.close()


class _History:
    """The file, from an offset on; `entries` may be asked again for what has been added."""

    def __init__(self, paths: ContainerPaths, tail: int | None) -> None:
        self.offset = 0
        self._fd = -1
        try:
            self._fd = os.open(paths.log, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        if tail is not None:
            self.offset = tail_offset(self._fd, tail)

    def entries(self, known: dict[str, int] | None = None) -> Iterator[LogEntry]:
        """Entries from `offset` to the end, without the first `known` bytes of each stream."""
        while self._fd >= 0:
            entries, behind = read_block(self._fd, self.offset)
            if behind == self.offset:
                return
            self.offset = behind
            for entry in entries:
                data = entry.data if known is None else _unknown(entry, known)
                if data:
                    yield LogEntry(stream=entry.stream, data=data, time=entry.time)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class _Lines:
    """Puts live output together into lines; `given` counts the bytes of each stream passed on."""

    def __init__(self) -> None:
        self.given = {"stdout": 0, "stderr": 0}
        self._held: dict[str, tuple[bytes, str]] = {}

    def split(self, output: Output) -> Iterator[LogEntry]:
        held, when = self._held.pop(output.stream, (b"", output.time))
        *whole, rest = split_lines(held + output.data) or [b""]
        if rest.endswith(b"\n") or len(rest) > MAX_LINE_BYTES:
            whole.append(rest)
        elif rest:
            self._held[output.stream] = (rest, output.time if whole else when)
        for line in whole:
            yield self._give(output.stream, line, when)
            when = output.time

    def rest(self) -> Iterator[LogEntry]:
        for stream, (data, when) in self._held.items():
            yield self._give(stream, data, when)

    def _give(self, stream: str, data: bytes, when: str) -> LogEntry:
        self.given[stream] += len(data)
        return LogEntry(stream=stream, data=data, time=when)


def _unknown(entry: Entry, known: dict[str, int]) -> bytes:
    data = entry.data
    skipped = min(known.get(entry.stream, 0), len(data))
    if skipped:
        known[entry.stream] -= skipped
    return data[skipped:]


def _attach(paths: ContainerPaths, offset: int) -> Channel | None:
    """A monitor that sends everything from `offset` on; None when the container is not running."""
    try:
        channel = Channel.connect(paths.socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    try:
        channel.send(Attach(offset=offset))
    except OSError:
        channel.close()
        return None
    return channel


def _receive(channel: Channel) -> Output | Exited | None:
    try:
        message = channel.receive()
    except ConnectionResetError:
        return None
    return message if isinstance(message, Output | Exited) else None
