"""The `pydock` program: exit statuses, raw bytes, tables, JSON, signals; on the real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydock_engine.cli.shell import run_shell
from pydock_engine.engine import Engine

from .standin import StandInEngine

PYDOCK = [sys.executable, "-m", "pydock_engine.cli.main"]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandInEngine:
    engine = StandInEngine()
    monkeypatch.setattr("pydock_engine.engine.Engine", lambda root: engine)
    return engine


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("images", 0),
        ("--help", 0),
        ("--version", 0),
        ("nosuch", 125),
        ("run --nosuch b", 125),
        ("run --pull never nosuch true", 125),
        ("logs nosuch", 1),
    ],
)
def test_exit_status_tells_what_happened(stand_in: StandInEngine, line: str, status: int) -> None:
    assert run_shell(line.split()) == status


def test_errors_are_two_lines_on_stderr(
    stand_in: StandInEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_shell(["history", "nosuch"])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "pydock: no such image: nosuch:latest\n  pydock image pull nosuch:latest\n"
    )


def test_tables_are_plain_in_a_pipe(
    stand_in: StandInEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_shell(["images"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert lines[1].split()[:3] == ["busybox", "latest", "abababababab"]
    assert "\x1b" not in "".join(lines)


def test_json_is_an_array_also_when_empty(
    stand_in: StandInEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_shell(["images", "--format", "json"])
    assert json.loads(capsys.readouterr().out)[0]["reference"] == "busybox:latest"
    run_shell(["ps", "--format", "json"])
    assert json.loads(capsys.readouterr().out) == []
    run_shell(["inspect", "busybox"])
    assert json.loads(capsys.readouterr().out)[0]["RepoTags"] == ["busybox:latest"]


def test_quiet_prints_ids(stand_in: StandInEngine, capsys: pytest.CaptureFixture[str]) -> None:
    run_shell(["images", "-q"])
    assert capsys.readouterr().out == "abababababab\n"
    run_shell(["images", "-q", "--no-trunc"])
    assert capsys.readouterr().out == "sha256:" + "ab" * 32 + "\n"


def test_pull_prints_the_name_and_progress_apart(
    stand_in: StandInEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    run_shell(["pull", "debian:12"])
    shown = capsys.readouterr()
    assert shown.out == "debian:12\n"
    assert "pulling debian:12" in shown.err
    run_shell(["pull", "-q", "debian:12"])
    assert capsys.readouterr().err == ""


# -- the real engine ---------------------------------------------------------------------------


def shell(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PYDOCK, *arguments], input=stdin, capture_output=True, check=False)


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
def test_run_passes_bytes_status_and_streams_through(
    engine: Engine, busybox_reference: str, tmp_path: Path
) -> None:
    image = busybox_reference
    pulled = shell("pull", image)
    assert (pulled.returncode, pulled.stdout) == (0, f"{image}\n".encode())

    script = r"printf '\000\377\n'; echo err >&2; exit 7"
    done = shell("run", "--rm", image, "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"\x00\xff\n", b"err\n")

    data = os.urandom(300_000)
    assert shell("run", "--rm", "-i", image, "cat", stdin=data).stdout == data
    assert shell("run", "--rm", image, "cat", stdin=b"not handed over").stdout == b""

    assert shell("run", "--rm", image, "nosuch").returncode == 127
    assert shell("run", "--rm", image, "/etc").returncode == 126
    late = shell("run", "--rm", "--timeout", "300ms", image, "sleep", "60")
    assert late.returncode == 124
    assert b"--timeout" in late.stderr
    assert shell("ps", "-aq").stdout == b""


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_hands_signals_on(engine: Engine, busybox_reference: str, number: int) -> None:
    engine.images.pull(busybox_reference)
    traps = "trap 'echo INT; exit 2' INT; trap 'echo TERM; exit 15' TERM"
    script = f"{traps}; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen(
        [*PYDOCK, "run", "--rm", busybox_reference, "sh", "-c", script], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        rest = process.stdout.read()
    assert (rest, process.returncode) in ((b"INT\n", 2), (b"TERM\n", 15))


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_program(engine: Engine, busybox_reference: str) -> None:
    engine.images.pull(busybox_reference)
    with subprocess.Popen(
        [*PYDOCK, "run", "--rm", busybox_reference, "yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1000)
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, b"")
    assert engine.containers.list(all=True) == []


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
def test_detached_container_by_the_shell(engine: Engine, busybox_reference: str) -> None:
    engine.images.pull(busybox_reference)
    script = "echo hello; exec sleep 60"
    made = shell("run", "-d", "--name", "web", busybox_reference, "sh", "-c", script)
    identifier = made.stdout.decode().strip()
    assert len(identifier) == 64
    follower = subprocess.Popen([*PYDOCK, "logs", "-f", "web"], stdout=subprocess.PIPE)
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"hello\n"
    table = shell("ps").stdout.decode()
    assert identifier[:12] in table
    assert "Up " in table
    assert json.loads(shell("ps", "--format", "json").stdout)[0]["name"] == "web"
    assert shell("stop", "-t", "0.1", "web").stdout == b"web\n"
    assert follower.wait(20) == 0
    follower.stdout.close()
    assert shell("wait", "web").stdout in (b"137\n", b"143\n")
    assert "Exited (1" in shell("ps", "-a").stdout.decode()
    assert shell("rm", "web").stdout == b"web\n"
