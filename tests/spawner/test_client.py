"""Starting the spawner, finding it again, and what it does with clients that misbehave."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.paths import Paths
from pydock_engine.protocol.channel import Channel
from pydock_engine.protocol.messages import Done, Hello, Welcome
from pydock_engine.spawner import launch, process
from pydock_engine.spawner.client import Spawner

ASK = """
from pydock_engine.paths import Paths
from pydock_engine.spawner.client import Spawner
print(Spawner(Paths.default()).welcome().pid)
"""


def kill(pid: int) -> None:
    """SIGKILL, and the end of the process."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        wait_for_end(pidfd)
    finally:
        os.close(pidfd)


def wait_for_end(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(10_000)


def test_the_first_request_starts_it_and_the_next_finds_it(spawner: Spawner, paths: Paths) -> None:
    assert not paths.run.exists()
    first = spawner.welcome()
    assert Spawner(paths).welcome() == first
    assert first.protocol == 1


def test_it_belongs_to_no_client(spawner: Spawner) -> None:
    """Its own session and not our child: what ends a kernel and its children spares it."""
    pid = spawner.welcome().pid
    assert os.getsid(pid) != os.getsid(0)
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[1]) != os.getpid()


def test_clients_that_race_find_the_same_one(spawner: Spawner, paths: Paths) -> None:
    clients = [
        subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE) for _ in range(6)
    ]
    pids = {client.communicate()[0].strip() for client in clients}
    assert pids == {str(spawner.welcome().pid).encode()}


def test_after_a_kill_the_next_request_starts_another(spawner: Spawner, paths: Paths) -> None:
    first = spawner.welcome().pid
    kill(first)
    assert paths.spawner_socket.exists()
    second = Spawner(paths).welcome().pid
    assert second != first


def test_stop_ends_it_and_may_be_said_twice(spawner: Spawner, paths: Paths) -> None:
    pidfd = os.pidfd_open(spawner.welcome().pid)
    spawner.stop()
    wait_for_end(pidfd)
    os.close(pidfd)
    assert not paths.spawner_socket.exists()
    spawner.stop()


def test_modules_beside_the_client_stay_out(
    spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("struct.py", "msgspec.py", "pydock_engine.py", "sitecustomize.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert spawner.welcome().pid > 0


def test_it_inherits_no_descriptor(spawner: Spawner, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "held", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(fd, True)
    try:
        pid = spawner.welcome().pid
    finally:
        os.close(fd)
    targets = {os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
    assert str(tmp_path / "held") not in targets


def test_a_start_that_fails_says_why(
    spawner: Spawner, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "module_folders", list)
    with pytest.raises(errors.ProtocolError, match=r"ModuleNotFoundError.*pydock_engine") as caught:
        spawner.welcome()
    assert str(paths.spawner_log) in caught.value.way_out


def test_without_an_interpreter_it_is_unsupported(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(errors.Unsupported, match="executable"):
        spawner.welcome()


def test_a_silent_client_blocks_nobody(spawner: Spawner, paths: Paths) -> None:
    pid = spawner.welcome().pid
    silent = [Channel.connect(paths.spawner_socket) for _ in range(process.MAX_PENDING + 8)]
    try:
        assert Spawner(paths).welcome().pid == pid
        assert silent[0].receive() is None  # the oldest made room
    finally:
        for channel in silent:
            channel.close()


def test_a_silent_client_is_hung_up_on(spawner: Spawner, paths: Paths) -> None:
    spawner.welcome()
    with Channel.connect(paths.spawner_socket) as silent:
        silent.set_timeout(process.REQUEST_TIMEOUT_S + 10)
        assert silent.receive() is None


@pytest.mark.parametrize("data", [b"\xc1", b"x" * 50_000, b"\x81\xa4type\xa4Nope"])
def test_garbage_is_hung_up_on_and_survived(spawner: Spawner, paths: Paths, data: bytes) -> None:
    pid = spawner.welcome().pid
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(str(paths.spawner_socket))
        sock.send(data)
        assert sock.recv(100) == b""
    assert Spawner(paths).welcome().pid == pid


def test_descriptors_nobody_asked_for_are_closed(spawner: Spawner, paths: Paths) -> None:
    pid = spawner.welcome().pid
    before = len(os.listdir(f"/proc/{pid}/fd"))
    for _ in range(5):
        with Channel.connect(paths.spawner_socket) as channel:
            channel.send(Hello(), (0, 1))
            channel.expect(Welcome)
    with Channel.connect(paths.spawner_socket) as channel:
        channel.send(Done())
        message = channel.receive()
        assert message is not None
    assert len(os.listdir(f"/proc/{pid}/fd")) <= before


def test_a_very_long_run_directory_works(short_path: Path) -> None:
    run = short_path / ("r" * 120)
    spawner = Spawner(Paths(short_path / "root", run))
    try:
        assert spawner.welcome().pid > 0
    finally:
        spawner.stop()


def test_a_long_log_is_put_aside(spawner: Spawner, paths: Paths) -> None:
    paths.run.mkdir(parents=True, mode=0o700)
    paths.spawner_log.write_bytes(b"x" * (launch.LOG_LIMIT_BYTES + 1))
    spawner.welcome()
    assert paths.spawner_log.stat().st_size < launch.LOG_LIMIT_BYTES
    assert paths.spawner_log.with_name("spawner.log.1").exists()
