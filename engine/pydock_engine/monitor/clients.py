"""Who talks to the monitor, each at its own pace: a slow client never stalls the container.

An attached client has a position in the log, not a queue. While it keeps up it gets each chunk as
it was read; when its socket is full it falls behind, and catches up from the file. So nothing is
lost and memory stays bounded, however fast the program and however slow the reader.
"""

from __future__ import annotations

from collections import deque

from ..protocol.channel import OUTPUT_CHUNK, Channel
from ..protocol.messages import Exited, Message, Output
from .clock import now
from .log import Entry, LogWriter
from .logreader import read_block

STREAMS = ("stdout", "stderr")
MAX_ANSWERS = 16
"""Beyond this many unread answers a client is not listened to."""


class Feed:
    """One client's way through the output: `offset` in the log, and how many bytes beyond it of
    each stream it already has (of lines the log still held back when they were sent).
    """

    def __init__(self, log: LogWriter, offset: int | None = None) -> None:
        self._log = log
        self._entries: deque[Entry] = deque()
        self._offset = 0
        self._skip = dict.fromkeys(STREAMS, 0)
        if offset is None:
            self.jump_to_end()
        else:
            self._offset = min(offset, log.size)

    def is_current(self) -> bool:
        """Whether it has been given everything there is."""
        return (
            not self._entries
            and self._offset == self._log.size
            and all(self._skip[stream] == len(self._log.held(stream)) for stream in STREAMS)
        )

    def jump_to_end(self) -> None:
        self._offset = self._log.size
        self._skip = {stream: len(self._log.held(stream)) for stream in STREAMS}

    def next_output(self) -> Output | None:
        """The next piece it has not had, or None when it is current."""
        while self._entries or self._offset < self._log.size:
            if not self._entries:
                entries, self._offset = read_block(self._log.fd, self._offset, self._log.size)
                self._entries.extend(entries)
            output = self._take()
            if output is not None:
                return output
        for stream in STREAMS:
            rest = self._log.held(stream)[self._skip[stream] :]
            if rest:
                self._skip[stream] += len(rest)
                return Output(stream=stream, data=rest, time=now())
        return None

    def _take(self) -> Output | None:
        """Neighbouring entries of one stream in one message, without what was sent before."""
        pieces: list[bytes] = []
        size = 0
        if not self._entries:
            return None
        stream, when = self._entries[0].stream, self._entries[0].time
        while self._entries and self._entries[0].stream == stream and size < OUTPUT_CHUNK:
            data = self._entries.popleft().data
            skipped = min(self._skip.get(stream, 0), len(data))
            if skipped:
                self._skip[stream] -= skipped
                data = data[skipped:]
            pieces.append(data)
            size += len(data)
        return Output(stream=stream, data=b"".join(pieces), time=when) if size else None


class Client:
    """One connection: answers in order, then output, then (once it is known) the end."""

    def __init__(self, channel: Channel) -> None:
        channel.set_blocking(False)
        self.channel = channel
        self.feed: Feed | None = None
        self.waits = False
        """Wants to be told of the end."""
        self.blocked = False
        """Its socket was full at the last attempt."""
        self.gone = False
        self.told_end = False
        self._queue: deque[Message] = deque()

    def fileno(self) -> int:
        return self.channel.fileno()

    @property
    def is_overloaded(self) -> bool:
        return len(self._queue) >= MAX_ANSWERS

    @property
    def keeps_up(self) -> bool:
        """Whether the next chunk can be handed to it directly."""
        return self.feed is not None and not self._queue and self.feed.is_current()

    def say(self, message: Message) -> None:
        self._queue.append(message)

    def give(self, output: Output) -> None:
        """The chunk just logged, for a client that kept up until then."""
        assert self.feed is not None
        self.feed.jump_to_end()
        self._queue.append(output)

    def flush(self, end: Exited | None) -> None:
        """Sends until there is nothing left or the socket is full; `end` comes last, once."""
        self.blocked = False
        while not self.gone:
            if not self._queue and not self._refill(end):
                return
            try:
                self.channel.send(self._queue[0])
            except BlockingIOError:
                self.blocked = True
                return
            except OSError:
                self.gone = True
                return
            self._queue.popleft()

    def _refill(self, end: Exited | None) -> bool:
        output = self.feed.next_output() if self.feed is not None else None
        if output is not None:
            self._queue.append(output)
        elif end is not None and self.waits and not self.told_end:
            self.told_end = True
            self._queue.append(end)
        return bool(self._queue)

    def is_served(self) -> bool:
        """Whether nothing is owed to it any more, at the end."""
        return self.gone or (not self._queue and (self.told_end or not self.waits))
