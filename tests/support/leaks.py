"""What a test left behind: processes, mounts, cgroups, network links, descriptors.

Everything a test starts is recognised by a token in its environment (`TOKEN`), by its ancestors,
by our temporary folders in its arguments or its mounts, or by an id of our subordinate range.
Mounts, cgroups and links carry no token: when another run of these tests is going on at the same
time, only those that name our own folders are held against us.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = "PYDOCK_TESTS"
PATIENCE_S = 5.0
"""How long something that is on its way out may take before it counts as left behind."""


@dataclass(frozen=True)
class Process:
    pid: int
    started: int
    """Clock ticks since boot: tells a reused pid from the process meant."""

    def __str__(self) -> str:
        try:
            command = Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            name = Path(f"/proc/{self.pid}/comm").read_text().strip()
        except OSError:
            return f"process {self.pid} (just ended)"
        return f"process {self.pid} {name}: {command.strip()[:160]}"


@dataclass(frozen=True)
class Snapshot:
    """What there is at one moment."""

    processes: frozenset[Process]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    links: frozenset[str]
    descriptors: dict[int, str] = field(default_factory=dict)


class LeakCheck:
    """Compares two moments; `folders` are the temporary folders of this run."""

    def __init__(self, token: str, folders: list[Path]) -> None:
        self.token = token
        self.folders = [str(folder) for folder in folders]

    def take(self) -> Snapshot:
        return Snapshot(
            processes=frozenset(_processes()),
            mounts=frozenset(Path("/proc/self/mountinfo").read_text().splitlines()),
            cgroups=frozenset(_cgroups()),
            links=frozenset(os.listdir("/sys/class/net")),
            descriptors=_descriptors(),
        )

    def leaks(self, before: Snapshot, patience_s: float = PATIENCE_S) -> list[str]:
        """One line per thing that is here now and was not `before`; waits for stragglers."""
        deadline = time.monotonic() + patience_s
        while found := self._found(before):
            if time.monotonic() > deadline:
                break
            gc.collect()  # what only the garbage holds is closed, not leaked
            time.sleep(0.02)
        return found

    def _found(self, before: Snapshot) -> list[str]:
        now = self.take()
        found = [str(process) for process in self._ours(now.processes - before.processes)]
        alone = not self._others_running(now.processes)
        for word, new in (
            ("mount", now.mounts - before.mounts),
            ("cgroup", now.cgroups - before.cgroups),
            ("network link", now.links - before.links),
        ):
            found += [f"{word} {item}" for item in sorted(new) if alone or self._names_us(item)]
        for number, target in now.descriptors.items():
            if before.descriptors.get(number) != target:
                found.append(f"descriptor {number} -> {target}")
        return found

    def clean_up(self, before: Snapshot) -> None:
        """Ends and unmounts what the test left, so that the next test is not blamed for it."""
        now = self.take()
        for process in self._ours(now.processes - before.processes):
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)
        for mount in now.mounts - before.mounts:
            if self._names_us(mount):
                subprocess.run(["umount", "--lazy", mount.split()[4]], check=False)

    def _ours(self, new: frozenset[Process]) -> list[Process]:
        marker = f"{TOKEN}={self.token}".encode()
        ours = {
            p
            for p in new
            if marker in _read(p.pid, "environ")
            or self._names_us(os.fsdecode(_read(p.pid, "cmdline")))
            or self._mounted_by_us(p.pid)
        }
        known = {p.pid for p in ours} | {os.getpid()}
        ours |= {p for p in new if known & set(_ancestors(p.pid))}
        return sorted(ours - _being_waited_for(), key=lambda p: p.pid)

    def _mounted_by_us(self, pid: int) -> bool:
        """Whether the process lives in another mount namespace that shows our folders' mounts."""
        try:
            if os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
                return False
            return self._names_us(Path(f"/proc/{pid}/mountinfo").read_text())
        except OSError:
            return _owner(pid) in _subordinate_ids()

    def _names_us(self, text: str) -> bool:
        return any(folder in text for folder in self.folders)

    def _others_running(self, processes: frozenset[Process]) -> bool:
        theirs, ours = f"{TOKEN}=".encode(), f"{TOKEN}={self.token}".encode()
        environs = (_read(process.pid, "environ") for process in processes)
        return any(theirs in environ and ours not in environ for environ in environs)


def _processes() -> Iterator[Process]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _stat(int(name))):
            state, started = stat[0], int(stat[19])
            if state != "Z":  # a zombie holds nothing; its parent's business
                yield Process(int(name), started)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1 and (stat := _stat(pid)):
        pid = int(stat[1])
        yield pid


def _read(pid: int, name: str) -> bytes:
    """/proc/PID/`name`; empty when it is gone or kept from us."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _owner(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def _subordinate_ids() -> range:
    """The range /etc/subuid gives to this user; empty for root and for users without one."""
    if os.geteuid() == 0:
        return range(0)
    with contextlib.suppress(OSError, KeyError, ValueError):
        import pwd

        me = pwd.getpwuid(os.geteuid()).pw_name
        for line in Path("/etc/subuid").read_text().splitlines():
            name, start, count = line.split(":")
            if name in (me, str(os.geteuid())):
                return range(int(start), int(start) + int(count))
    return range(0)


def _being_waited_for() -> set[Process]:
    """multiprocessing's resource tracker lives as long as its process by design."""
    from multiprocessing import resource_tracker

    pid = getattr(resource_tracker._resource_tracker, "_pid", None)
    return {Process(pid, int(_stat(pid)[19]))} if pid and _stat(pid) else set()


def _cgroups() -> Iterator[str]:
    """Groups below any `pydock` group, in every hierarchy that is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" - ")
        if len(fields) != 2 or not fields[1].startswith("cgroup"):
            continue
        top = Path(line.split()[4])
        delegated = top.glob("user.slice/*/user@*/pydock")
        for parent in (top / "pydock", *top.glob("*/pydock"), *top.glob("*/*/pydock"), *delegated):
            with contextlib.suppress(OSError):
                yield from (str(group) for group in parent.iterdir() if group.is_dir())


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if not target.startswith(f"/proc/{os.getpid()}/fd"):
                found[int(name)] = target
    return found
