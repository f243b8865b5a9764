"""Attached clients: each its own pace, nothing twice, nothing lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydock_engine.monitor.clients import MAX_ANSWERS, Client, Feed
from pydock_engine.monitor.log import LogWriter
from pydock_engine.protocol.channel import Channel
from pydock_engine.protocol.messages import Done, Exited, Output

END = Exited(exit_code=3)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    writer = LogWriter(tmp_path / "container.log")
    yield writer
    writer.close()


class Attached:
    """A client inside the monitor, and what its other end has read."""

    def __init__(self, log: LogWriter, offset: int | None = None) -> None:
        self.far, near = Channel.pair()
        self.far.set_blocking(False)
        self.client = Client(near)
        self.client.feed = Feed(log, offset)
        self.client.waits = True
        self.got = {"stdout": b"", "stderr": b""}
        self.end: Exited | None = None

    def read(self, messages: int) -> None:
        for _ in range(messages):
            try:
                message = self.far.receive()
            except BlockingIOError:
                return
            if isinstance(message, Output):
                self.got[message.stream] += message.data
            elif isinstance(message, Exited):
                self.end = message

    def close(self) -> None:
        self.far.close()
        self.client.channel.close()


def chunk_arrives(log: LogWriter, attached: list[Attached], stream: str, data: bytes) -> None:
    """What the monitor's loop does with a chunk."""
    current = [one.client for one in attached if one.client.keeps_up]
    log.write(stream, data)
    for client in current:
        client.give(Output(stream=stream, data=data))
        client.flush(None)


@pytest.mark.parametrize("seed", range(20))
def test_every_pace_gets_every_byte_once(log: LogWriter, seed: int) -> None:
    rng = random.Random(seed)
    attached = [Attached(log) for _ in range(4)]
    sent = {"stdout": b"", "stderr": b""}
    for _ in range(300):
        stream = rng.choice(["stdout", "stdout", "stderr"])
        kind = rng.randrange(4)
        data = [b"line\n" * rng.randint(1, 4000), b"part", rng.randbytes(3000), b"y" * 60_000][kind]
        sent[stream] += data
        chunk_arrives(log, attached, stream, data)
        for pace, one in enumerate(attached[:-1]):
            if rng.random() < (1.0, 0.3, 0.05)[pace]:
                one.read(rng.randint(1, 4))
                one.client.flush(None)
    log.finish()
    for one in attached:
        for _ in range(10_000):
            one.client.flush(END)
            one.read(4)
            if one.end is not None:
                break
        assert one.got == sent
        assert one.end == END
        assert one.client.is_served()
        one.close()


def test_it_begins_where_it_was_told(log: LogWriter) -> None:
    log.write("stdout", b"old\n")
    middle = log.size
    log.write("stdout", b"new\nheld")
    cases = {0: b"old\nnew\nheld", middle: b"new\nheld", None: b"", 10**9: b"held"}
    for offset, expected in cases.items():
        one = Attached(log, offset)
        one.client.flush(None)
        one.read(10)
        assert one.got["stdout"] == expected
        one.close()


def test_the_end_comes_after_all_output(log: LogWriter) -> None:
    one = Attached(log, 0)
    log.write("stdout", b"x" * 500_000 + b"\n")
    while one.end is None:
        one.client.flush(END)
        assert one.end is None or len(one.got["stdout"]) == 500_001
        one.read(1)
    assert len(one.got["stdout"]) == 500_001
    one.close()


def test_a_full_socket_is_remembered_and_memory_is_not_used(log: LogWriter) -> None:
    one = Attached(log)
    for _ in range(200):
        chunk_arrives(log, [one], "stdout", b"z" * 59_999 + b"\n")
    assert one.client.blocked
    assert not one.client.keeps_up
    assert len(one.client._queue) == 1
    one.close()


def test_a_client_that_went_away_is_gone(log: LogWriter) -> None:
    one = Attached(log)
    one.far.close()
    chunk_arrives(log, [one], "stdout", b"x\n")
    assert one.client.gone
    assert one.client.is_served()
    one.client.channel.close()


def test_unread_answers_have_a_limit(log: LogWriter) -> None:
    one = Attached(log)
    for _ in range(MAX_ANSWERS):
        assert not one.client.is_overloaded
        one.client.say(Done())
    assert one.client.is_overloaded
    one.client.flush(None)
    assert not one.client.is_overloaded
    one.close()
