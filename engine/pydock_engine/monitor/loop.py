"""While the container runs: output into the log and to clients, requests, time-out, the end.

One thread, one epoll, nothing that blocks. The program waits only for the log, never for a client.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from types import FrameType

from .. import errors
from ..protocol.channel import OUTPUT_CHUNK, Channel, Listener, failed
from ..protocol.messages import Attach, Done, Exited, Output, Signal, Stop, Wait
from ..runtime.cgroups.group import Cgroup
from ..runtime.create import InitProcess
from .clients import Client, Feed
from .clock import now
from .kill import INTERRUPT_GRACE_S, INTERRUPT_SIGNALS, Ladder, kill_everything
from .log import LogWriter

MAX_CLIENTS = 256


@dataclass(frozen=True)
class Ended:
    """How init ended, as wait(2) tells it."""

    exit_code: int
    """128+n for a death by signal n."""
    timed_out: bool
    finished_at: str


class MonitorLoop:
    """All the monitor watches: `run` until the end of init, then `tell` and `settle`."""

    def __init__(
        self,
        *,
        init: InitProcess,
        cgroup: Cgroup,
        log: LogWriter,
        outputs: dict[int, str],
        listener: Listener,
        stop_signals: tuple[int, ...],
    ) -> None:
        self._init = init
        self._cgroup = cgroup
        self._log = log
        self._outputs = dict(outputs)
        self._listener = listener
        self._stop_signals = stop_signals
        self._clients: dict[int, Client] = {}
        self._interest: dict[int, int] = {}
        self._epoll = select.epoll()
        self._deadline: float | None = None
        self._ladder: Ladder | None = None
        self._ladder_due = 0.0
        self._timed_out = False
        self._terminated = False
        self._end: Exited | None = None
        for fd in self._outputs:
            os.set_blocking(fd, False)
            self._epoll.register(fd, select.EPOLLIN)
        os.set_blocking(listener.fileno(), False)
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        self._epoll.register(init.pidfd, select.EPOLLIN)
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)

    def add(self, channel: Channel, *, attach: bool) -> None:
        """A connection that is there from the start; told of the end when `attach`."""
        client = self._admit(channel)
        if attach:
            client.feed = Feed(self._log)
            client.waits = True

    def run(self, timeout_s: float | None) -> Ended:
        """Until init has ended and its last output is in the log."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._note_termination)
        if timeout_s is not None:
            self._deadline = time.monotonic() + timeout_s
        while True:
            ready = self._epoll.poll(self._wait_s())
            self._dispatch([fd for fd, _ in ready])
            if any(fd == self._init.pidfd for fd, _ in ready):
                break
            self._run_timers()
        self._epoll.unregister(self._init.pidfd)
        status = os.waitid(os.P_PIDFD, self._init.pidfd, os.WEXITED)
        assert status is not None
        finished_at = now()
        self._drain()
        code = status.si_status if status.si_code == os.CLD_EXITED else 128 + status.si_status
        return Ended(code, self._timed_out, finished_at)

    def tell(self, end: Exited) -> None:
        """Gives the rest of the output and the end to whoever takes it at once."""
        self._end = end
        self._accept()
        self._epoll.unregister(self._listener.fileno())
        self._listener.close()
        self._serve()

    def settle(self) -> None:
        """Gives it to all others; returns when they have it.

        A client that stops reading keeps this process (a megabyte), and nothing else.
        """
        while self._clients:
            self._epoll.poll()
            self._serve()

    def _serve(self) -> None:
        for client in list(self._clients.values()):
            self._read(client)
            self._flush(client)
            if client.is_served():
                self._drop(client)

    # -- the container's output ----------------------------------------------------------------

    def _read_output(self, fd: int) -> bool:
        """Moves one chunk from a pipe into the log and to those who keep up; False at its end."""
        try:
            data = os.read(fd, OUTPUT_CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close_output(fd)
            return False
        stream = self._outputs[fd]
        current = [client for client in self._clients.values() if client.keeps_up]
        self._log.write(stream, data)
        output = Output(stream=stream, data=data, time=now())
        for client in current:
            client.give(output)
            self._flush(client)
        return True

    def _close_output(self, fd: int) -> None:
        self._epoll.unregister(fd)
        os.close(fd)
        del self._outputs[fd]

    def _drain(self) -> None:
        """What is still in the pipes. Whoever wrote it is gone with the pid namespace, so a pipe
        that is empty now is at its end, even if somebody outside was given its other end.
        """
        for fd in list(self._outputs):
            while self._read_output(fd):
                pass
            if fd in self._outputs:
                self._close_output(fd)
        self._log.finish()

    # -- events ------------------------------------------------------------------------------------

    def _dispatch(self, ready: list[int]) -> None:
        for fd in ready:
            if fd in self._outputs:
                self._read_output(fd)
            elif fd == self._listener.fileno():
                self._accept()
            elif fd == self._wake:
                os.read(self._wake, 512)
            elif fd in self._clients:
                client = self._clients[fd]
                self._read(client)
                self._flush(client)

    def _wait_s(self) -> float:
        due = [self._ladder_due] if self._ladder else []
        if self._deadline is not None:
            due.append(self._deadline)
        return max(0.0, min(due) - time.monotonic()) if due else -1

    def _run_timers(self) -> None:
        now = time.monotonic()
        if self._terminated:
            self._terminated = False
            self._climb(self._stop_signals, INTERRUPT_GRACE_S)
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._timed_out = True
            self._climb(INTERRUPT_SIGNALS, INTERRUPT_GRACE_S)
        if self._ladder is not None and now >= self._ladder_due:
            self._step(self._ladder)

    def _note_termination(self, number: int, frame: FrameType | None) -> None:
        self._terminated = True

    # -- ending it ---------------------------------------------------------------------------------

    def _climb(self, signals: tuple[int, ...], grace_s: float) -> None:
        self._step(Ladder(self._init, self._cgroup, signals, grace_s))

    def _step(self, ladder: Ladder) -> None:
        pause_s = ladder.step()
        self._ladder = None if pause_s is None else ladder
        self._ladder_due = time.monotonic() + (pause_s or 0.0)

    # -- clients -----------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                channel = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            if channel.peer_uid() != os.geteuid() or len(self._clients) >= MAX_CLIENTS:
                channel.close()
                continue
            client = self._admit(channel)
            self._read(client)
            self._flush(client)

    def _admit(self, channel: Channel) -> Client:
        client = Client(channel)
        self._clients[channel.fileno()] = client
        self._interest[channel.fileno()] = select.EPOLLIN
        self._epoll.register(channel.fileno(), select.EPOLLIN)
        return client

    def _read(self, client: Client) -> None:
        """Everything the client has said, unless it does not read the answers."""
        while not client.gone and not client.is_overloaded:
            try:
                message = client.channel.receive()
            except BlockingIOError:
                return
            except (OSError, errors.ProtocolError):
                client.gone = True
                return
            if message is None:
                client.gone = True
                return
            try:
                self._obey(client, message)
            except errors.PydockError as error:
                client.say(failed(error))

    def _obey(self, client: Client, message: object) -> None:
        match message:
            case Attach():
                start = message.offset if message.offset >= 0 else None
                client.feed = Feed(self._log, 0 if message.logs else start)
                client.waits = True
            case Wait():
                client.waits = True
            case Signal() | Stop() if self._end is not None:
                raise errors.Conflict("the container is not running")
            case Signal():
                if not 0 < message.number < signal.NSIG:
                    raise errors.UsageError(f"invalid signal: {message.number}")
                self._init.send_signal(message.number)
                client.say(Done())
            case Stop():
                if any(not 0 < number < signal.NSIG for number in message.signals):
                    raise errors.UsageError(f"invalid signals: {message.signals}")
                self._climb(message.signals, min(message.grace_s, 1e6))
                client.say(Done())
            case _:
                raise errors.ProtocolError(f"a monitor does not do {type(message).__name__}")

    def _flush(self, client: Client) -> None:
        client.flush(self._end)
        if client.gone:
            self._drop(client)
            return
        interest = select.EPOLLOUT if client.blocked else 0
        interest |= 0 if client.is_overloaded else select.EPOLLIN
        if interest != self._interest[client.fileno()]:
            self._interest[client.fileno()] = interest
            self._epoll.modify(client.fileno(), interest)

    def _drop(self, client: Client) -> None:
        if self._clients.pop(client.fileno(), None) is None:
            return
        del self._interest[client.fileno()]
        self._epoll.unregister(client.fileno())
        client.channel.close()


def kill_and_reap(init: InitProcess, cgroup: Cgroup) -> None:
    """The end of an init that was created and cannot be started."""
    kill_everything(init, cgroup)
    os.waitid(os.P_PIDFD, init.pidfd, os.WEXITED)
