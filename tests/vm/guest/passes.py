"""Inside the machine: the groups systemd would make, then the passes of the selection.

Exits with 0 when every pass has passed; a JUnit file each lies in /run/results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
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
TIMED_OUT = {124, 128 + 9}
"""coreutils' timeout says so, of the two signals it sends."""


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
    if one.user == "root":
        place = as_root(f"tests-{number}", pytest)
    else:
        place = as_user(f"tests-{number}", one.user, pytest, results)
    status = run_limited(place, one.limit_s)
    word = f"over {one.limit_s:.0f} s" if status in TIMED_OUT else f"status {status}"
    print(f"=== {one.user}: {word}, {time.monotonic() - began:.0f} s ===", flush=True)
    return status


@dataclass(frozen=True)
class Place:
    """A command, and where it is to run."""

    group: Path
    command: list[str]
    environment: dict[str, str]


def as_root(name: str, command: list[str]) -> Place:
    """As a service of the system."""
    group = make_groups("system.slice", f"{name}.service")
    return Place(group, command, os.environ | GROUPS_USABLE)


def as_user(name: str, login: str, command: list[str], results: Path) -> Place:
    """As a program in a session of an ordinary user."""
    user = ensure_user(login, subordinate=SUBORDINATE[login])
    service = f"user@{user.uid}.service"
    slices = ("user.slice", f"user-{user.uid}.slice", service, "app.slice")
    group = make_groups(*slices, f"{name}.scope")
    environment = user.environment(Path("/var/tmp", login))
    environment |= {
        "PYTHONPATH": os.environ["PYTHONPATH"],
        "HYPOTHESIS_STORAGE_DIRECTORY": f"{environment['TMPDIR']}/hypothesis",
    }
    if login in DELEGATED:
        delegate(group.parents[1], user)
        environment |= GROUPS_USABLE
    os.chown(results, user.uid, user.gid)
    ids = ("--reuid", login, "--regid", str(user.gid), "--clear-groups")
    return Place(group, ["setpriv", *ids, *command], environment)


def run_limited(place: Place, limit_s: float) -> int:
    """The command's status. Whoever watches the time is outside of the group, which may freeze.

    Each pass has a group of its own: once `cgroup.kill` was used on a group, the kernel (6.1 with
    its updates and 6.18, seen here) kills at birth whatever a process in there clones into another.
    """
    entering = ["sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(place.group)]
    timeout = ["timeout", f"--kill-after={KILL_AFTER_S}", "--signal=INT", str(limit_s)]
    status = subprocess.run(
        [*timeout, *entering, *place.command],
        env=place.environment,
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode
    (place.group / "cgroup.kill").write_text("1")
    return status


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


if __name__ == "__main__":
    sys.exit(main())
