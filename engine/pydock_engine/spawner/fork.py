"""What every child of the spawner begins and ends with, and the one that waits ahead of time."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from ..monitor.rehearsal import rehearse
from ..protocol.channel import Channel
from ..protocol.messages import StartContainer
from ..runtime import syscalls

Serve = Callable[[StartContainer, Channel, list[int]], None]


def fork_child(let_go: Callable[[], None], work: Callable[[], None]) -> int:
    """The pid of a child that does `work` and exits; a client that hung up is no failure.

    It has a session of its own and ordinary signals; `let_go` closes what is the spawner's.
    """
    pid = os.fork()
    if pid == 0:
        _live(let_go, work)
    return pid


def _live(let_go: Callable[[], None], work: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        # SIGINT too: what is ignored stays so across execve, and into the container.
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        let_go()
        work()
        status = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(status)


class Spare:
    """A child forked ahead of time, that becomes the next container's monitor.

    Forking takes 1.5 ms, and a fresh child another 1.5 ms to get its own copies of the pages it
    writes to. Nobody waits for either when it was done before.
    """

    def __init__(self, let_go: Callable[[], None], serve: Serve) -> None:
        ours, theirs = Channel.pair()

        def wait() -> None:
            ours.close()
            _wait(theirs, serve)

        with theirs:
            try:
                self.pid = fork_child(let_go, wait)
            except OSError:
                ours.close()
                raise
        self._channel = ours

    def take(self, request: StartContainer, channel: Channel, fds: list[int]) -> bool:
        """Whether it takes the request and the connection over; it may have been killed."""
        try:
            self._channel.send(request, (channel.fileno(), *fds))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Lets it go: without a request it exits."""
        self._channel.close()


def _wait(spawner: Channel, serve: Serve) -> None:
    syscalls.set_name("pydock-spare")
    rehearse()
    request, fds = spawner.receive_with_fds()
    spawner.close()
    if isinstance(request, StartContainer):
        serve(request, Channel(socket.socket(fileno=fds[0])), fds[1:])
