"""Interrupting a foreground run, from a real second process: the way a kernel's interrupt comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import pytest
from pydock_engine.engine import Engine

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network]

CLIENT = """
import sys
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine

def show(stream, data):
    sys.stdout.buffer.write(data)
    sys.stdout.flush()

options = RunOptions(image=sys.argv[1], command=("sh", "-c", sys.argv[2]), name="job")
try:
    Engine().containers.run(options, on_output=show)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@contextmanager
def client(reference: str, script: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process that runs `script` in the foreground, and its output."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, reference, script],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


def interrupted_after(
    process: subprocess.Popen[bytes], output: IO[bytes], times: int = 1
) -> tuple[float, bytes]:
    """Seconds from the first interrupt to the end, and what was written meanwhile."""
    start = time.monotonic()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
    rest = output.read()
    assert process.wait() == 0
    return time.monotonic() - start, rest


def test_a_program_that_listens_ends_its_own_way(busybox: Engine, busybox_reference: str) -> None:
    script = "trap 'echo cleaned; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    with client(busybox_reference, script) as (process, output):
        assert output.readline() == b"ready\n"
        seconds, rest = interrupted_after(process, output)
    assert rest == b"cleaned\ninterrupted\n"
    assert seconds < 2
    state = busybox.containers.get("job").state
    assert (state.status, state.exit_code) == ("exited", 5)


@pytest.mark.parametrize("ignored", ["", "INT", "INT TERM"])
def test_whatever_it_ignores_it_is_gone_in_two_seconds(
    busybox: Engine, busybox_reference: str, ignored: str
) -> None:
    # Without a trap the first process hears nothing the kernel would kill it for. A shell would:
    # it handles INT itself, so whoever says `ready` must be past being one.
    last = f"trap 'echo no' {ignored}; echo ready; while :; do sleep 1000; done"
    if not ignored:
        last = "echo ready > /tmp/ready; exec tail -f /tmp/ready"
    script = f"sleep 1000 & {last}"
    with client(busybox_reference, script) as (process, output):
        assert output.readline() == b"ready\n"
        seconds, rest = interrupted_after(process, output)
    assert rest.endswith(b"interrupted\n")
    assert seconds < 2
    state = busybox.containers.get("job").state
    assert (state.status, state.exit_code) == ("exited", 137)


def test_a_second_interrupt_kills_at_once(busybox: Engine, busybox_reference: str) -> None:
    script = "trap 'echo no' INT TERM; echo ready; while :; do sleep 0.05; done"
    with client(busybox_reference, script) as (process, output):
        assert output.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert output.readline() == b"no\n"  # so the first one has been dealt with
        seconds, rest = interrupted_after(process, output)
    assert rest.endswith(b"interrupted\n")
    assert seconds < 0.5
    assert busybox.containers.get("job").state.exit_code == 137


def test_a_killed_client_leaves_the_container_running(
    busybox: Engine, busybox_reference: str
) -> None:
    script = "echo ready; read x < /tmp/go; echo after; exit 6"
    with client(busybox_reference, f"mkfifo /tmp/go; {script}") as (process, output):
        assert output.readline() == b"ready\n"
        process.kill()
        process.wait()
    container = busybox.containers.get("job")
    assert container.status == "running"
    with open(f"/proc/{container.state.pid}/root/tmp/go", "w") as go:
        go.write("go\n")
    assert container.wait() == 6
    assert container.logs() == b"ready\nafter\n"


def test_an_error_in_the_callback_ends_the_program(
    busybox: Engine, options: Callable[..., object]
) -> None:
    def fail(stream: str, data: bytes) -> None:
        raise ValueError("the screen is gone")

    with pytest.raises(ValueError, match="the screen is gone"):
        busybox.containers.run(options("echo x; sleep 1000", name="job"), on_output=fail)
    assert busybox.containers.get("job").wait() in (130, 137)  # the shell may hear the interrupt
    assert not os.path.exists(f"/proc/{busybox.containers.get('job').state.pid}/stat")


def test_interrupted_before_it_started_rm_still_holds(
    busybox: Engine, options: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    container = busybox.containers.create(options("true", rm=True))
    monkeypatch.setattr(busybox.spawner, "open", interrupted)
    removal = Engine(busybox.paths.root)
    monkeypatch.setattr(container._tools.removal, "_spawner", removal.spawner)
    with pytest.raises(KeyboardInterrupt):
        busybox.containers.run_created(container)
    monkeypatch.undo()
    assert busybox.containers.list(all=True) == []
    removal.database.close()
