"""Podman and a hand-started dockerd run their containers on pydock-oci."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks import peers
from tests.conformance.lab import PATIENCE_S, fill, own_program
from tests.support.packages import program_or_skip

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.network]

IMAGE = "box:1"


@dataclass(frozen=True)
class Client:
    peer: peers.Peer
    run_options: tuple[str, ...]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._call(self.peer.command(*arguments))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._call(self.peer.run(*self.run_options, *arguments))

    def _call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


@pytest.fixture(params=["podman", "docker"])
def client(request: pytest.FixtureRequest, short_path: Path) -> Iterator[Client]:
    """A client with pydock-oci as its runtime, and a busybox image imported from an archive."""
    program = own_program(short_path)
    with ExitStack() as stack:
        if request.param == "podman":
            peer = stack.enter_context(peers.podman())
            prefix = tuple(program if word == "runc" else word for word in peer.prefix)
            client = Client(replace(peer, prefix=prefix), ("--network", "none"))
        else:
            peer = stack.enter_context(peers.dockerd(f"--add-runtime=own={program}"))
            client = Client(peer, ("--runtime", "own", "--network", "none"))
        if peer.skip:
            pytest.skip(f"{peer.name}: {peer.skip}")
        made = client.call("import", archive(short_path), IMAGE)
        assert made.returncode == 0, made.stderr
        yield client


def archive(folder: Path) -> str:
    fill(folder / "image", program_or_skip("busybox"))
    with tarfile.open(folder / "image.tar", "w") as tar:
        tar.add(folder / "image", ".")
    return os.fspath(folder / "image.tar")


def test_a_container_from_run_to_rm(client: Client) -> None:
    once = client.run("--rm", IMAGE, "sh", "-c", "echo said; exit 7")
    assert (once.returncode, once.stdout) == (7, "said\n"), once.stderr
    terminal = client.run("--rm", "-t", IMAGE, "tty")
    assert (terminal.returncode, terminal.stdout.strip()) == (0, "/dev/pts/0"), terminal.stderr
    started = client.run("-d", "--name", "c1", IMAGE, "sleep", "100")
    assert started.returncode == 0, started.stderr
    inside = client.call("exec", "c1", "sh", "-c", "ps; exit 3")
    assert (inside.returncode, "sleep 100" in inside.stdout) == (3, True), inside.stderr
    assert client.call("exec", "-t", "c1", "tty").stdout.strip() == "/dev/pts/0"
    for command in (["pause"], ["unpause"], ["stop", "-t", "1"], ["rm"]):
        answer = client.call(*command, "c1")
        assert answer.returncode == 0, answer.stderr
    assert client.call("ps", "-aq").stdout == ""


def test_a_program_that_is_not_there_is_127(client: Client) -> None:
    answer = client.run("--rm", IMAGE, "nowhere")
    assert answer.returncode == 127
    assert "executable file not found" in answer.stderr
