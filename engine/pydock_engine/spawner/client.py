"""`Spawner`: a client's door to the warm process, which is started when it is not there."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from ..errors import ProtocolError, StoreError, SyscallError
from ..paths import Paths
from ..protocol.channel import Channel, failure
from ..protocol.messages import Failed, Hello, JobDone, Message, Progress, Welcome
from . import launch, rundir
from .identity import code_identity

OPEN_TIMEOUT_S = 30.0
"""How long another client's spawner may take to come up."""

STOP_TIMEOUT_S = 10.0

_ABSENT = (errno.ENOENT, errno.ECONNREFUSED)


class Spawner:
    """The spawner of one engine. Holds no connection: each request has its own. Thread-safe."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._level: str | None = None

    def open(self) -> Channel:
        """A fresh connection for one request; starts the spawner when nobody listens.

        The first time, a spawner that runs other code than ours (from before an upgrade, of a
        checkout that is gone) is replaced; its containers are not touched.

        Raises
        ------
        StoreError
            The run directory cannot be ours.
        ProtocolError
            The spawner does not come up, or another user answers.
        """
        self.level()
        return self._open()

    def welcome(self) -> Welcome:
        """Who answers now, and at which isolation level."""
        welcome = self._greet()
        if self._level is None and welcome.code != code_identity():
            self.stop()
            welcome = self._greet()
        self._level = welcome.level
        return welcome

    def _greet(self) -> Welcome:
        with self._open() as channel:
            channel.send(Hello())
            return channel.expect(Welcome)

    def _open(self) -> Channel:
        channel = self._connect()
        if channel is None:
            channel = self._start()
        if channel.peer_uid() != os.geteuid():
            channel.close()
            raise ProtocolError(f"{self._paths.spawner_socket} is answered by another user")
        return channel

    def level(self) -> str:
        """Isolation level: `root`, `rootless`, `rootless-single` or `none`; asked once."""
        return self._level or self.welcome().level

    def run_job(
        self,
        request: Message,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        fds: tuple[int, ...] = (),
    ) -> Any:
        """Result of one job, run in a child of the spawner while this thread waits.

        An exception here (an interrupt, an error of `on_progress`) hangs up, and the job ends at
        its next report.

        Raises
        ------
        PydockError
            Whatever the job failed with, as the same class.
        """
        with self.open() as channel:
            channel.send(request, fds)
            while True:
                message = channel.receive()
                if isinstance(message, Progress):
                    if on_progress is not None:
                        on_progress(message)
                elif isinstance(message, JobDone):
                    return message.result
                elif isinstance(message, Failed):
                    raise failure(message)
                else:
                    raise ProtocolError(
                        f"the {type(request).__name__} job ended without an answer",
                        way_out=f"see {self._paths.spawner_log}",
                    )

    def stop(self) -> None:
        """Ends the spawner when one runs; containers and jobs under way are not touched."""
        channel = self._connect()
        if channel is None:
            return
        with channel:
            try:
                pidfd = os.pidfd_open(_peer_pid(channel))
            except ProcessLookupError:
                return
            try:
                # Its answer proves that the pid just opened still is the spawner's.
                channel.send(Hello())
                channel.expect(Welcome)
                signal.pidfd_send_signal(pidfd, signal.SIGTERM)
                _wait_readable(pidfd, STOP_TIMEOUT_S)
            finally:
                os.close(pidfd)
        self._level = None

    def _connect(self) -> Channel | None:
        try:
            return Channel.connect(self._paths.spawner_socket, timeout_s=OPEN_TIMEOUT_S)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            if error.errno in (errno.EACCES, errno.EPERM):
                rundir.prepare(self._paths.run)  # says why it is not ours
            raise SyscallError.from_os_error("connect", error, str(self._paths.run)) from error

    def _start(self) -> Channel:
        rundir.prepare(self._paths.run)
        deadline = time.monotonic() + OPEN_TIMEOUT_S
        pause_s = 0.002
        while True:
            try:
                launch.launch(self._paths)
            except OSError as error:
                raise StoreError(f"cannot start the spawner: {error}") from error
            channel = self._connect()
            if channel is not None:
                return channel
            # Whoever holds the lock is just coming up, or just leaving.
            if time.monotonic() > deadline:
                raise ProtocolError(
                    f"a spawner holds {self._paths.spawner_lock} and does not answer",
                    way_out=f"see {self._paths.spawner_log}",
                )
            time.sleep(pause_s)
            pause_s = min(0.1, pause_s * 2)


def _peer_pid(channel: Channel) -> int:
    sock = socket.socket(fileno=os.dup(channel.fileno()))
    with sock:
        size = struct.calcsize("3i")
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[0])


def _wait_readable(fd: int, timeout_s: float) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(timeout_s * 1000)
