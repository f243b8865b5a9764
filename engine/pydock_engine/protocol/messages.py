"""What client, spawner, jobs and monitors say to each other.

One conversation is one connection. A client connects to the spawner and sends one request; for
`StartContainer` and the jobs, the spawner forks and the child inherits that very connection, so
the answers come from the monitor or the job itself and there is no second round trip.

    client → spawner   Hello | StartContainer | UnpackLayer | CommitLayer | RemoveTrees
                       | BuildLocalImage
    job → client       Progress* then (JobDone | Failed)
    monitor → client   (Started | Failed), then, when attached, Output* and Exited
    client → monitor   (the same connection, or a new one to monitor.sock)
                       Attach | Signal | Stop | Wait          → Output*, Done, Exited, Failed

Decoders ignore unknown fields, so a newer client can talk to an older monitor.
"""

from __future__ import annotations

from typing import Any

import msgspec

PROTOCOL = 1


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Base of all messages; the class name travels as `type`."""


# -- requests to the spawner ---------------------------------------------------------------


class Hello(Message, frozen=True, kw_only=True):
    """Asks who is there; answered by `Welcome`."""

    protocol: int = PROTOCOL


class StartContainer(Message, frozen=True, kw_only=True):
    """Fork a monitor for a created container. At most one descriptor travels along: its stdin
    (a sealed memfd, a pipe or a socket); without it stdin is /dev/null.
    """

    container_id: str
    attach: bool = False
    """Send `Output` and `Exited` over this connection."""
    stdin: bool = False
    """A descriptor for stdin travels with the message."""


class UnpackLayer(Message, frozen=True, kw_only=True):
    """Unpack one compressed layer into `target` (a fresh folder below layers/ingest).

    The blob is read from `blob` (a path), or from a descriptor that travels along when `blob`
    is empty. Answered by `Progress`* and `JobDone(result=LayerRecord as builtins)`.
    """

    media_type: str
    diff_id: str
    target: str
    blob: str = ""


class CommitLayer(Message, frozen=True, kw_only=True):
    """Give `source` (a finished UnpackLayer target) its place `layers/<chain>`.

    `parents` are the chain folders below it, nearest first; folders the layer only implied get
    their mode and owner from there. Idempotent: an existing place wins and `source` is removed.
    """

    source: str
    destination: str
    parents: tuple[str, ...] = ()


class RemoveTrees(Message, frozen=True, kw_only=True):
    """Remove folders whose files may belong to subordinate ids. Missing ones are fine."""

    paths: tuple[str, ...]


class BuildLocalImage(Message, frozen=True, kw_only=True):
    """Collect the machine's Python into layers; `target` is a fresh folder that receives
    the layers' files and the answer's result says what they are.
    """

    target: str
    python: str = ""
    """An `image.interpreter.Interpreter` as JSON; empty for the helper process's own."""


SpawnerRequest = Hello | StartContainer | UnpackLayer | CommitLayer | RemoveTrees | BuildLocalImage


# -- requests to a monitor -------------------------------------------------------------------


class Attach(Message, frozen=True, kw_only=True):
    """From now on send `Output` (new output only unless `logs`) and, at the end, `Exited`."""

    logs: bool = False
    offset: int = -1
    """Where in the log to begin instead, in bytes: the start of an entry."""


class Signal(Message, frozen=True, kw_only=True):
    """Send one signal to the container's init; answered by `Done`."""

    number: int


class Stop(Message, frozen=True, kw_only=True):
    """Walk `signals`, waiting `grace_s` after each; then kill everything inside.

    Answered by `Done` at once; `Exited` follows when attached or waiting.
    """

    signals: tuple[int, ...] = (15,)
    grace_s: float = 10.0


class Wait(Message, frozen=True, kw_only=True):
    """Answered by `Exited` when the container has ended (durably recorded before)."""


MonitorRequest = Attach | Signal | Stop | Wait


# -- answers ---------------------------------------------------------------------------------


class Welcome(Message, frozen=True, kw_only=True):
    protocol: int
    pid: int
    level: str
    """Isolation level the spawner runs at: root, rootless or rootless-single."""
    version: str = ""
    reason: str = ""
    """Why the level is not a better one; empty for root."""
    code: str = ""
    """Which code it runs (spawner/identity.py)."""


class Done(Message, frozen=True, kw_only=True):
    pass


class Progress(Message, frozen=True, kw_only=True):
    """Bytes of work done so far; `total` 0 when unknown."""

    current: int
    total: int = 0
    note: str = ""


class JobDone(Message, frozen=True, kw_only=True):
    result: Any = None


class Failed(Message, frozen=True, kw_only=True):
    """An error as data: rebuilt with `errors.from_parts`."""

    error: str
    message: str
    way_out: str = ""
    facts: dict[str, Any] = {}


class Started(Message, frozen=True, kw_only=True):
    pid: int
    """Init's pid in the host's pid namespace."""
    isolation: str
    not_applied: tuple[str, ...] = ()


class Output(Message, frozen=True, kw_only=True):
    stream: str
    """`stdout` or `stderr`."""
    data: bytes
    time: str = ""
    """RFC 3339 with nanoseconds: when (the first of) it was read from the program."""


class Exited(Message, frozen=True, kw_only=True):
    exit_code: int
    """0-255; 128+n for a death by signal n."""
    oom_killed: bool = False
    timed_out: bool = False
    started_at: str = ""
    finished_at: str = ""
    duration_s: float = 0.0
    error: str = ""


Answer = Welcome | Done | Progress | JobDone | Failed | Started | Output | Exited
Anything = SpawnerRequest | MonitorRequest | Answer

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Anything] = msgspec.msgpack.Decoder(Anything)


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode(data: bytes) -> Anything:
    """The message in `data`. Raises msgspec.DecodeError for anything malformed or unknown."""
    return _decoder.decode(data)
