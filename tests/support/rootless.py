"""`python -m tests.support.rootless [ARG…]`: the tests marked `userns`, as ordinary users.

Run by root. The users can read neither root's home nor, maybe, this checkout, so they work on a
copy of its files and of the environment in a temporary folder. Two passes: `pydocktest` has a range
of subordinate ids (level rootless), `pydocksingle` has none (level rootless-single).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.checkout import copy_source
from tests.support.images import CACHE_VARIABLE, cache_folder
from tests.support.user import IDS_EACH, OrdinaryUser, ensure_user, locked

NO_TESTS = 5
"""pytest's status when the arguments select nothing."""


def main(arguments: list[str]) -> int:
    if os.geteuid() != 0:
        sys.exit("tests.support.rootless: only root can run tests as other users")
    users = (
        ensure_user("pydocktest", subordinate=True),
        ensure_user("pydocksingle", subordinate=False),
    )
    failed = 0
    with readable_copy() as folder:
        for user in users:
            with locked(user.name):
                status = run_pass(user, folder, arguments)
            failed = failed or (0 if status == NO_TESTS else status)
    return failed


def run_pass(user: OrdinaryUser, folder: Path, arguments: list[str]) -> int:
    """pytest's exit status for one user; what the user's processes leave running fails it too."""
    ids = "with subordinate ids" if user.subordinate else "without subordinate ids"
    print(f"\n=== as an ordinary user {ids} ({user.name}) ===", flush=True)
    env = user.environment(folder / user.name)
    env |= {
        CACHE_VARIABLE: str(cache_folder()),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / user.name / "tmp" / "hypothesis"),
        **{name: os.environ[name] for name in ("CI",) if name in os.environ},
    }
    python = str(folder / "venv" / "bin" / "python")
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-m", "userns", *arguments]
    status = user.run(command, env=env, cwd=folder / "source").returncode
    left = end_processes_of(user)
    for line in left:
        print(f"still running as {user.name}: {line}")
    return status or bool(left)


@contextmanager
def readable_copy() -> Iterator[Path]:
    """A folder that anybody can read, with `source` and `venv`; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pt-users-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        compiled_copy(folder / "source")
        shutil.copytree(sys.prefix, folder / "venv", symlinks=True, copy_function=link_or_copy)
        subprocess.run(["chmod", "-R", "go+rX", str(folder)], check=True)
        check_python(folder / "venv" / "bin" / "python")
        yield folder
    finally:
        shutil.rmtree(folder)


def link_or_copy(origin: str, target: str) -> None:
    """A second name costs nothing; another file system or a symbolic link gets a copy."""
    try:
        os.link(origin, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(origin, target, follow_symlinks=False)


def compiled_copy(target: Path) -> None:
    """The checkout's files, compiled: the users cannot write beside them."""
    copy_source(target)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "."], cwd=target, check=True)


def check_python(python: Path) -> None:
    """Ends with an explanation when the environment's Python lies where only root can go."""
    nobody = OrdinaryUser("nobody", 65534, 65534, subordinate=False)
    env = {"PATH": os.defpath}
    try:
        nobody.run([str(python), "-c", "import pytest"], env=env).check_returncode()
    except (PermissionError, subprocess.CalledProcessError):
        sys.exit(
            f"ordinary users cannot execute {python.resolve()}, which .venv was made from\n"
            "make it anew from a Python they can: rm -rf .venv; PYTHON=/usr/bin/python3 make test"
        )


def end_processes_of(user: OrdinaryUser) -> list[str]:
    """What still runs with the user's ids a moment after the pass, as text; it is killed."""
    deadline = time.monotonic() + 5
    while (pids := pids_of(user)) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = []
    for pid in pids:
        left.append(f"{pid} {Path(f'/proc/{pid}/comm').read_text().strip()}")
        os.kill(pid, signal.SIGKILL)
    return left


def pids_of(user: OrdinaryUser) -> list[int]:
    ranges = [
        range(int(first), int(first) + IDS_EACH)
        for line in Path("/etc/subuid").read_text().splitlines()
        for name, first, _ in [line.split(":")]
        if name == user.name
    ]
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            uid = entry.stat().st_uid
            zombie = ") Z " in (entry / "stat").read_text()
        except OSError:
            continue
        if not zombie and (uid == user.uid or any(uid in ids for ids in ranges)):
            found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
