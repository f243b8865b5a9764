"""One end of a conversation: whole messages, descriptors along with them, known peers only."""

from __future__ import annotations

import array
import os
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from .. import errors
from . import messages

MAX_MESSAGE = 192 * 1024
"""A seqpacket message must fit the default send buffer (212,992 bytes) with its overhead."""

OUTPUT_CHUNK = 64 * 1024
MAX_FDS = 4

Expected = TypeVar("Expected", bound=messages.Message)


class Channel:
    """Owns one connected seqpacket socket.

    `send` and `receive` block; `receive` gives None when the peer has gone. Descriptors received
    with a message are put into `fds` of that call and belong to the caller.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    @classmethod
    def connect(cls, path: Path, timeout_s: float | None = None) -> Channel:
        """Connects to `path`; raises OSError as connect(2) does. Long paths work (via a dirfd)."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            sock.settimeout(timeout_s)
            with short_address(path) as address:
                sock.connect(address)
            sock.settimeout(None)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def fileno(self) -> int:
        return self._socket.fileno()

    def set_blocking(self, blocking: bool) -> None:
        self._socket.setblocking(blocking)

    def set_timeout(self, seconds: float | None) -> None:
        self._socket.settimeout(seconds)

    def send(self, message: messages.Message, fds: tuple[int, ...] = ()) -> None:
        """Sends one message whole. Raises OSError when the peer has gone (EPIPE, ECONNRESET)."""
        data = messages.encode(message)
        if len(data) > MAX_MESSAGE:
            raise errors.ProtocolError(
                f"a {type(message).__name__} message of {len(data)} bytes is too large"
            )
        ancillary = []
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self._socket.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)

    def receive(self) -> messages.Anything | None:
        """The next message, or None at the end; descriptors that came along are closed."""
        message, fds = self.receive_with_fds()
        for fd in fds:
            os.close(fd)
        return message

    def receive_with_fds(self) -> tuple[messages.Anything | None, list[int]]:
        data, ancillary, flags, _ = self._socket.recvmsg(
            MAX_MESSAGE + 1, socket.CMSG_SPACE(MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC
        )
        fds = _descriptors(ancillary)
        try:
            if not data:
                return None, fds
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise errors.ProtocolError("a message was larger than the protocol allows")
            return messages.decode(data), fds
        except (errors.ProtocolError, msgspec.DecodeError) as error:
            for fd in fds:
                os.close(fd)
            if isinstance(error, errors.ProtocolError):
                raise
            raise errors.ProtocolError(f"not a message of this protocol: {error}") from error

    def expect(self, kind: type[Expected]) -> Expected:
        """The next message, which must be a `kind`; a `Failed` is raised as what it carries."""
        message = self.receive()
        if isinstance(message, messages.Failed):
            raise failure(message)
        if not isinstance(message, kind):
            came = "nothing" if message is None else type(message).__name__
            raise errors.ProtocolError(f"expected {kind.__name__}, {came} came")
        return message

    def peer_uid(self) -> int:
        """The uid at the other end (SO_PEERCRED), seen from our user namespace."""
        size = struct.calcsize("3i")
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", credentials)[1])

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Listener:
    """A listening seqpacket socket at `path`, made atomically: bound beside it, then renamed."""

    def __init__(self, path: Path, backlog: int = 128) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with short_address(temporary) as address:
            self._socket.bind(address)
        os.chmod(temporary, 0o600)
        self._socket.listen(backlog)
        os.rename(temporary, path)

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> Channel:
        sock, _ = self._socket.accept()
        return Channel(sock)

    def close(self) -> None:
        self._socket.close()


class short_address:
    """`path` as an address of at most 107 bytes: through /proc/self/fd when it is longer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 100:
            return str(self._path)
        self._fd = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def failed(error: errors.PydockError) -> messages.Failed:
    """`error` as a message; facts that do not travel are left out."""
    facts = {k: v for k, v in error.facts.items() if isinstance(v, str | int | float | bool)}
    return messages.Failed(
        error=type(error).__name__, message=error.message, way_out=error.way_out, facts=facts
    )


def failure(message: messages.Failed) -> errors.PydockError:
    return errors.from_parts(message.error, message.message, message.way_out, message.facts)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)
