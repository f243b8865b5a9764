"""Inside the machine: the groups systemd would make, then the passes of the selection.

Exits with 0 when every pass has passed; a JUnit file each lies in /run/results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.user import OrdinaryUser, ensure_user
from tests.vm.selection import WANTED, Pass

TOP = Path("/sys/fs/cgroup")
CONTROLLERS = "+cpu +memory +pids"
"""What systemd turns on by itself and delegates to users."""
GROUPS_USABLE = {"PYDOCK_TESTS_GROUPS": "v2"}
"""Tells tests of limits that not being able to set them is a failure, not a reason to skip."""
RESULTS = Path("/run/results")
KILL_AFTER_S = 20
SUBORDINATE = {"pydocktest": True, "pydocksingle": False}
DELEGATED = {"pydocktest"}
"""Who owns groups; the others are what an ordinary user is without systemd."""
TIMED_OUT = 124
"""coreutils' timeout says so."""


def main() -> int:
    RESULTS.mkdir()
    failed = 0
    for number, one in enumerate(wanted()):
        status = run_pass(number, one)
        failed = failed or status
    return failed


def wanted() -> list[Pass]:
    """What the host asks for."""
    return [Pass(*fields) for fields in json.loads(Path(WANTED).read_text())]


def run_pass(number: int, one: Pass) -> int:
    """pytest's status, or that of a pass that took too long."""
    print(f"\n=== {one.user}: {' '.join(one.arguments)} ===", flush=True)
    began = time.monotonic()
    results = RESULTS / f"{number}-{one.user}"
    results.mkdir()
    pytest = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "--durations=10"),
        f"--junitxml={results}/junit.xml",
        *one.arguments,
    ]
    limited = ["timeout", f"--kill-after={KILL_AFTER_S}", "--signal=INT", str(one.limit_s), *pytest]
    status = run_as_root(limited) if one.user == "root" else run_as_user(one.user, limited, results)
    word = f"over {one.limit_s:.0f} s" if status == TIMED_OUT else f"status {status}"
    print(f"=== {one.user}: {word}, {time.monotonic() - began:.0f} s ===", flush=True)
    return status


def run_as_root(command: list[str]) -> int:
    """Runs `command` as a service of the system would be."""
    enter(make_groups("system.slice", "tests.service"))
    env = os.environ | GROUPS_USABLE
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, check=False).returncode


def run_as_user(name: str, command: list[str], results: Path) -> int:
    """Runs `command` as a program in a session of an ordinary user."""
    user = ensure_user(name, subordinate=SUBORDINATE[name])
    service = f"user@{user.uid}.service"
    leaf = make_groups("user.slice", f"user-{user.uid}.slice", service, "app.slice", "tests.scope")
    if name in DELEGATED:
        delegate(leaf.parents[1], user)
    enter(leaf)
    os.chown(results, user.uid, user.gid)
    home = Path("/var/tmp", name)
    env = user.environment(home) | {"PYTHONPATH": os.environ["PYTHONPATH"]}
    if name in DELEGATED:
        env |= GROUPS_USABLE
    return user.run(command, env=env, cwd=Path.cwd()).returncode


# -- groups ------------------------------------------------------------------------------------


def make_groups(*names: str) -> Path:
    """Nested groups; all but the last hand the controllers on."""
    group = TOP
    for name in names:
        (group / "cgroup.subtree_control").write_text(CONTROLLERS)
        group /= name
        group.mkdir(exist_ok=True)
    return group


def delegate(top: Path, user: OrdinaryUser) -> None:
    """Gives the user what `Delegate=yes` gives: the group, its three files, all below it.

    Source: the kernel's cgroup-v2, "Model of Delegation".
    """
    for group in (top, *(path for path in top.rglob("*") if path.is_dir())):
        for name in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
            os.chown(group / name, user.uid, user.gid)


def enter(group: Path) -> None:
    """This process, and so what it starts, is in `group` from here on."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


if __name__ == "__main__":
    sys.exit(main())
