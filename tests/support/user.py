"""Ordinary users for the rootless tests, made by root: with and without subordinate ids.

They are kept between runs (`make clean` removes them); their home and run folders are temporary.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

IDS_EACH = 65536
LOCKS = Path("/run/lock")


@dataclass(frozen=True)
class OrdinaryUser:
    """A user of this machine; `subordinate` tells whether /etc/subuid gives it a range."""

    name: str
    uid: int
    gid: int
    subordinate: bool

    def environment(self, folder: Path) -> dict[str, str]:
        """What a login would set, with home and run folders made in `folder` for this user."""
        for name in ("home", "run", "tmp"):
            place = folder / name
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chown(place, self.uid, self.gid)
        return {
            "HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "TMPDIR": str(folder / "tmp"),
            "USER": self.name,
            "LOGNAME": self.name,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
        }

    def run(
        self, command: list[str], *, env: dict[str, str], cwd: Path | str = "/"
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs `command` as this user, in its own session, and waits for it."""
        return subprocess.run(
            command,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            umask=0o022,
            check=False,
        )


def ensure_user(name: str, *, subordinate: bool) -> OrdinaryUser:
    """The user `name`, made when missing (root only), with a range of ids or without any."""
    with locked("users"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            _call("useradd", "--no-create-home", "--home-dir", "/nonexistent", "--user-group", name)
            entry = pwd.getpwnam(name)
        ranges = [line for path in ("/etc/subuid", "/etc/subgid") for line in _ranges(path, name)]
        if subordinate and len(ranges) < 2:
            _give_ids(name)
        elif not subordinate and ranges:
            _take_ids(name)
    return OrdinaryUser(name, entry.pw_uid, entry.pw_gid, subordinate)


def _give_ids(name: str) -> None:
    """A range that nobody has, above all others."""
    taken = [*_all_ranges("/etc/subuid"), *_all_ranges("/etc/subgid"), (name, 100_000, 0)]
    start = max(first + count for _, first, count in taken)
    span = f"{start}-{start + IDS_EACH - 1}"
    _call("usermod", "--add-subuids", span, "--add-subgids", span, name)


def _take_ids(name: str) -> None:
    for path, option in (("/etc/subuid", "--del-subuids"), ("/etc/subgid", "--del-subgids")):
        for _, first, count in _ranges(path, name):
            _call("usermod", option, f"{first}-{first + count - 1}", name)


def _ranges(path: str, name: str) -> list[tuple[str, int, int]]:
    return [found for found in _all_ranges(path) if found[0] == name]


def _all_ranges(path: str) -> Iterator[tuple[str, int, int]]:
    if not os.path.exists(path):
        return
    for line in Path(path).read_text().splitlines():
        name, first, count = line.split(":")
        yield name, int(first), int(count)


@contextmanager
def locked(what: str) -> Iterator[None]:
    """Two test runs at once make each user once, and take turns at being it."""
    with (LOCKS / f"pydock-test-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _call(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
