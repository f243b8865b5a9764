"""The programs we are compared with, each in temporary folders of its own, and gone afterwards.

`dockerd()` starts a Docker daemon by hand, `podman()` needs none; both give a `Peer`, whose
`command(...)` is what to run and whose `skip` says why it cannot be.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.packages import find_program

START_S = 30.0


@dataclass(frozen=True)
class Peer:
    """A program with the options that every call of it needs."""

    name: str
    prefix: tuple[str, ...] = ()
    run_options: tuple[str, ...] = ()
    """What `run` needs on top, here."""
    skip: str = ""

    def command(self, *arguments: str) -> list[str]:
        """`docker pull X` and the like, ready for `harness.call(*…)`."""
        return [*self.prefix, *arguments]

    def run(self, *arguments: str) -> list[str]:
        """`docker run` with what this machine needs."""
        return [*self.prefix, "run", *self.run_options, *arguments]


@contextlib.contextmanager
def dockerd(*options: str) -> Iterator[Peer]:
    """A Docker daemon without bridge and firewall rules, ended with everything it made.

    `options` are more of its own.
    """
    reason = _reason("docker", "dockerd", "containerd")
    if reason:
        yield Peer("docker", skip=reason)
        return
    with _folder("dockerd") as folder:
        socket = f"unix://{folder}/docker.sock"
        command = [find_program("dockerd") or "", "--host", socket]
        command += ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
        command += ["--pidfile", f"{folder}/dockerd.pid", "--bridge", "none"]
        command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false", *options]
        with (folder / "dockerd.log").open("wb") as log:
            daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            peer = Peer("docker", (find_program("docker") or "", "--host", socket))
            _wait_until_it_answers(daemon, peer, folder / "dockerd.log")
            yield peer
        finally:
            _end(daemon)


@contextlib.contextmanager
def podman() -> Iterator[Peer]:
    """Podman with storage of its own, runc as runtime."""
    reason = _reason("podman", "runc")
    if reason:
        yield Peer("podman", skip=reason)
        return
    with _folder("podman") as folder:
        prefix = [find_program("podman") or "", "--root", f"{folder}/storage"]
        prefix += ["--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp"]
        prefix += ["--runtime", "runc", "--cgroup-manager", "cgroupfs"]
        yield Peer("podman", tuple(prefix), tuple(_own_limits()))


def _own_limits() -> list[str]:
    """Our own limits for the container: podman raises them, which needs CAP_SYS_RESOURCE.

    Podman lowers its own limit on processes to pid_max as it starts, so no more can be given.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = most if hard == resource.RLIM_INFINITY else min(hard, most)
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]


def _reason(*programs: str) -> str:
    missing = [program for program in programs if find_program(program) is None]
    if missing:
        return f"not installed ({', '.join(missing)})"
    return "" if os.geteuid() == 0 else "needs root here"


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A short temporary folder; afterwards no process names it, nothing is mounted below it."""
    folder = Path(tempfile.mkdtemp(prefix=f"pydock-bench-{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        _end_processes_naming(folder)
        _unmount_below(folder)
        shutil.rmtree(folder)


def _end_processes_naming(folder: Path) -> None:
    """Ends helpers that outlive their command (conmon, containerd-shim, podman's own clean-up)."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and (pids := _pids_naming(folder)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _pids_naming(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found


def _unmount_below(folder: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in mounts]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=True)


def _wait_until_it_answers(daemon: subprocess.Popen[bytes], peer: Peer, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and daemon.poll() is None:
        answer = subprocess.run(peer.command("version"), capture_output=True, check=False)
        if answer.returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"dockerd did not start:\n{log.read_text()[-2000:]}")


def _end(daemon: subprocess.Popen[bytes]) -> None:
    """Asks the daemon to end; it takes its containerd with it."""
    daemon.terminate()
    try:
        daemon.wait(timeout=START_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
