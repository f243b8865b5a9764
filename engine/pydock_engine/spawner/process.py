"""The spawner: one thread, everything imported, nothing but fork between a request and its work.

It reads one message from each connection without ever waiting for it, forks, and forgets it; the
child answers. What a client does afterwards, or fails to do, cannot reach this loop.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import select
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from .. import __version__, errors
from ..container import seccomp
from ..monitor.process import run_monitor
from ..monitor.rehearsal import rehearse
from ..paths import Paths
from ..protocol.channel import Channel, Listener, failed
from ..protocol.messages import PROTOCOL, Anything, Hello, StartContainer, Welcome
from ..runtime import syscalls
from . import jobs, launch, rundir, userns
from .fork import Spare, fork_child
from .identity import code_identity

IDLE_S = 600.0
SPARE_AFTER_S = 0.05
"""Of quiet, or until a container has ended: sooner, it would compete with the start of the one
that took the last spare."""

REQUEST_TIMEOUT_S = 5.0
"""A connection that has not said what it wants by then is closed."""

MAX_PENDING = 64


def main(root: str, run: str) -> None:
    """Takes the lock, becomes ready, serves until idle. Exits the process."""
    paths = Paths(Path(root), Path(run))
    rundir.prepare(paths.run)
    lock = os.open(paths.spawner_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _tell(launch.BUSY)
        os._exit(0)
    syscalls.set_name("pydock-spawner")
    os.chdir("/")
    os.umask(0o022)
    level = userns.enter()
    code_identity()
    seccomp.warm()
    rehearse()
    gc.collect()
    gc.freeze()  # children share these pages for good: no collection ever writes to them
    process = SpawnerProcess(paths, level, lock)
    _tell(launch.READY)
    process.serve()


def _tell(word: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # that client has gone; others may come
        os.write(launch.READY_FD, word)
    os.close(launch.READY_FD)


class SpawnerProcess:
    """The loop's state: what listens, who has connected and not spoken, which children live."""

    def __init__(self, paths: Paths, level: userns.Level, lock: int) -> None:
        self._paths = paths
        self._level = level
        self._lock = lock
        self._listener = Listener(paths.spawner_socket)
        os.set_blocking(self._listener.fileno(), False)
        self._pending: dict[int, tuple[Channel, float]] = {}
        self._children: set[int] = set()
        self._spare: Spare | None = None
        self._wants_spare = False
        self._stopping = False
        self._wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._waker = waker
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._epoll.register(self._wake, select.EPOLLIN)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        """Runs until stopped or idle for IDLE_S with no child left; ends the process."""
        used = time.monotonic()
        while not self._stopping:
            for fd, _ in self._epoll.poll(self._wait_s(used)):
                if fd == self._listener.fileno():
                    self._accept()
                elif fd == self._wake:
                    self._reap()
                    if self._wants_spare:  # a container of a row of them may have ended
                        self._make_spare()
                else:
                    self._handle(fd)
                used = time.monotonic()
            self._expire(time.monotonic())
            if self._wants_spare and time.monotonic() - used >= SPARE_AFTER_S:
                self._make_spare()
            if time.monotonic() - used >= IDLE_S and not self._children and not self._pending:
                break
        self._leave()

    def _leave(self) -> None:
        """Goes quietly: whoever connected before the name was gone is still served."""
        self._paths.spawner_socket.unlink(missing_ok=True)
        self._accept()
        for fd in list(self._pending):
            self._handle(fd)
        os._exit(0)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _wait_s(self, used: float) -> float:
        """Seconds until something is due; -1 (for ever) while only a child's end can be next."""
        deadlines = [deadline for _, deadline in self._pending.values()]
        if not self._children:
            deadlines.append(used + IDLE_S)
        if self._wants_spare:
            deadlines.append(used + SPARE_AFTER_S)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else -1

    def _accept(self) -> None:
        while True:
            try:
                channel = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors: pending ones expire
                print(f"accept: {error}", file=sys.stderr, flush=True)
                self._expire(float("inf"))
                return
            if channel.peer_uid() != os.geteuid():
                channel.close()
                continue
            if len(self._pending) >= MAX_PENDING:
                self._forget(next(iter(self._pending)))
            channel.set_blocking(False)
            self._pending[channel.fileno()] = (channel, time.monotonic() + REQUEST_TIMEOUT_S)
            self._epoll.register(channel.fileno(), select.EPOLLIN)
            self._handle(channel.fileno())  # the request usually is there already

    def _handle(self, fd: int) -> None:
        if fd not in self._pending:
            return
        channel = self._pending[fd][0]
        try:
            request, fds = channel.receive_with_fds()
        except BlockingIOError:
            return
        except (errors.ProtocolError, OSError) as error:
            print(f"request: {error}", file=sys.stderr, flush=True)
            self._forget(fd)
            return
        try:
            if isinstance(request, Hello):
                channel.send(self._welcome())
            elif request is not None:
                self._start(channel, request, fds)
        except OSError as error:
            self._refuse(channel, error)
        finally:
            for received in fds:
                os.close(received)
            self._forget(fd)

    def _welcome(self) -> Welcome:
        return Welcome(
            protocol=PROTOCOL,
            pid=os.getpid(),
            level=self._level.name,
            version=__version__,
            reason=self._level.reason,
            code=code_identity(),
        )

    def _refuse(self, channel: Channel, error: OSError) -> None:
        with contextlib.suppress(OSError):
            channel.send(failed(errors.SyscallError.from_os_error("fork", error)))

    def _start(self, channel: Channel, request: Anything, fds: list[int]) -> None:
        """Hands the connection to a child; what is said on it from then on is the child's."""
        if isinstance(request, StartContainer):
            self._wants_spare = True
            if self._spare is not None and self._use_spare(self._spare, request, channel, fds):
                return
        self._children.add(
            fork_child(lambda: self._let_go(channel), lambda: self._work(request, channel, fds))
        )

    def _use_spare(
        self, spare: Spare, request: StartContainer, channel: Channel, fds: list[int]
    ) -> bool:
        taken = spare.take(request, channel, fds[: int(request.stdin)])
        spare.close()
        self._spare = None
        self._children.add(spare.pid)
        return taken

    def _work(self, request: Anything, channel: Channel, fds: list[int]) -> None:
        """In a child."""
        channel.set_blocking(True)
        if not isinstance(request, StartContainer):
            jobs.run_job(channel, request, fds, self._paths, self._level.of_files)
            return
        try:
            self._level.refuse_containers()
        except errors.Unsupported as error:
            channel.send(failed(error))
            return
        stdin = fds[0] if request.stdin and fds else None
        run_monitor(self._paths, request, channel, stdin, self._level.name)

    def _let_go(self, keep: Channel | None = None) -> None:
        """In a child: closes what is the spawner's."""
        for channel, _ in self._pending.values():
            if channel is not keep:
                channel.close()
        if self._spare is not None:
            self._spare.close()
        self._epoll.close()
        self._listener.close()
        for fd in (self._wake, self._waker, self._lock):
            os.close(fd)

    def _make_spare(self) -> None:
        """Has a child wait for the next container, now that the last one has started."""
        self._wants_spare = False
        with contextlib.suppress(OSError):
            self._spare = self._spare or Spare(self._let_go, self._work)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, 512):
                pass
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._children.clear()
                return
            if pid == 0:
                return
            self._children.discard(pid)
            if self._spare is not None and pid == self._spare.pid:
                self._spare.close()
                self._spare = None

    def _expire(self, now: float) -> None:
        for fd in [fd for fd, (_, deadline) in self._pending.items() if deadline <= now]:
            self._forget(fd)

    def _forget(self, fd: int) -> None:
        channel, _ = self._pending.pop(fd)
        self._epoll.unregister(fd)
        channel.close()
