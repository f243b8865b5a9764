"""What parent and init say to each other while a container is made, over a socketpair.

    parent → init    Setup (with descriptors)        init → parent    Ready
    parent → init    Start                           init → parent    end of file: execve succeeded
                                                     init → parent    Failure, at any time

A stream, because a specification with a large environment is larger than one packet may be.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from typing import TypeVar

import msgspec

from .. import errors
from ..oci.runtime import Spec

_HEADER = struct.Struct("=IB")
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_FDS = 250
"""The kernel passes at most 253 descriptors with one message (SCM_MAX_FD)."""


class SyncMessage(msgspec.Struct, frozen=True, tag=True):
    pass


class Mapped(SyncMessage, frozen=True, tag=True):
    """The id maps of the new user namespace are written."""


class Setup(SyncMessage, frozen=True, tag=True):
    """Everything init needs; descriptors travel along: the root first, then one a bind mount."""

    spec: Spec
    binds: tuple[int, ...] = ()
    """Which of `spec.mounts` the descriptors stand for, in their order."""
    filter: bytes = b""
    """`linux.seccomp` as a program for the kernel; empty for none."""
    filter_flags: int = 0


class Reached(SyncMessage, frozen=True, tag=True):
    """Init of a bundle has come to `stage` and waits; see lifecycle/init.py."""

    stage: str


class Proceed(SyncMessage, frozen=True, tag=True):
    """The answer to Reached; descriptors may travel along."""

    pid: int = 0
    """What init is called outside."""


class Ready(SyncMessage, frozen=True, tag=True):
    """The container stands; init waits for Start."""


class Start(SyncMessage, frozen=True, tag=True):
    pass


class Failure(SyncMessage, frozen=True, tag=True):
    """An error of init's as data; see `errors.from_parts`."""

    error: str
    message: str
    way_out: str = ""
    facts: dict[str, str | int | float | bool] = {}


Expected = TypeVar("Expected", bound=SyncMessage)
Anything = Mapped | Setup | Reached | Proceed | Ready | Start | Failure
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Anything)


class SyncChannel:
    """One end; owns its socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    def pair(cls) -> tuple[SyncChannel, SyncChannel]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(one), cls(other)

    def fileno(self) -> int:
        return self._socket.fileno()

    def move_to(self, fd: int) -> None:
        """Lives on as descriptor number `fd` (close-on-exec)."""
        if self._socket.fileno() != fd:
            os.dup2(self._socket.detach(), fd, inheritable=False)
            self._socket = socket.socket(fileno=fd)

    def send(self, message: SyncMessage, fds: tuple[int, ...] = ()) -> None:
        """Raises OSError when the other end has gone."""
        data = _encoder.encode(message)
        header = _HEADER.pack(len(data), len(fds))
        if not fds:
            self._socket.sendall(header + data, socket.MSG_NOSIGNAL)
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self._socket.sendmsg([header], rights, socket.MSG_NOSIGNAL)
        self._socket.sendall(data, socket.MSG_NOSIGNAL)

    def receive(self) -> tuple[Anything | None, list[int]]:
        """The next message and its descriptors (now the caller's); None when the peer has gone."""
        header, ancillary, _, _ = self._socket.recvmsg(
            _HEADER.size,
            socket.CMSG_SPACE(MAX_FDS * 4),
            socket.MSG_CMSG_CLOEXEC | socket.MSG_WAITALL,
        )
        fds = array.array("i")
        for _level, _kind, data in ancillary:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        if len(header) < _HEADER.size:
            return None, list(fds)
        size, count = _HEADER.unpack(header)
        if size > MAX_MESSAGE_BYTES or count != len(fds):
            raise errors.ProtocolError("init and its parent lost step")
        return _decoder.decode(self._receive_exactly(size)), list(fds)

    def _receive_exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = self._socket.recv_into(view)
            if count == 0:
                raise errors.ProtocolError("init and its parent lost step")
            view = view[count:]
        return data

    def close(self) -> None:
        self._socket.close()


def failure_of(error: errors.PydockError) -> Failure:
    facts = {k: v for k, v in error.facts.items() if isinstance(v, str | int | float | bool)}
    return Failure(type(error).__name__, error.message, error.way_out, facts)


def error_of(failure: Failure) -> errors.PydockError:
    return errors.from_parts(failure.error, failure.message, failure.way_out, dict(failure.facts))
