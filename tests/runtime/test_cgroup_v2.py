"""Limits on a machine with nothing but cgroup v2, as root and as a user with delegated groups.

`make test-vm` boots such a machine; the kernel's own words are asked for, from inside and outside.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import pytest
from pydock_engine.runtime.cgroups.group import find_group

from tests.runtime.lab import Box
from tests.support.groups import PLACES, needs_v2

pytestmark = [pytest.mark.root, pytest.mark.userns, needs_v2]


def own_group() -> Path:
    """The folder of this process's group."""
    return Path("/sys/fs/cgroup") / Path("/proc/self/cgroup").read_text().strip()[4:]


def read_inside(box: Box, *names: str, **options: float) -> list[str]:
    """What files of its group say to a container."""
    return box.sh(f"cd /sys/fs/cgroup && cat {' '.join(names)}", **options).splitlines()


def test_limits_are_what_the_container_sees(box: Box) -> None:
    names = ("memory.max", "memory.swap.max", "cpu.max", "pids.max")
    limits = {"memory_bytes": 64 << 20, "cpus": 0.5, "pids_limit": 9}
    memory = str(64 << 20)  # and as much swap again, as docker has it
    assert read_inside(box, *names, **limits) == [memory, memory, "50000 100000", "9"]


def test_more_memory_than_allowed_is_a_kill_that_is_told(box: Box) -> None:
    script = "x=0123456789abcdef; while true; do x=$x$x; done"
    report = box.run("sh", "-c", script, memory_bytes=16 << 20)
    assert report.exit_code == 137
    assert report.oom_kills >= 1


def test_an_end_by_kill_alone_is_no_want_of_memory(box: Box) -> None:
    report = box.run("sleep", "1000", memory_bytes=16 << 20, signal=9)
    assert (report.exit_code, report.oom_kills) == (137, 0)


def test_more_processes_than_allowed_are_refused(box: Box) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 30 & done; echo never"
    report = box.run("sh", "-c", script, pids_limit=5)
    assert report.exit_code != 0
    assert "never" not in report.stdout
    assert "can't fork" in report.stderr


def test_more_processor_time_than_allowed_is_waited_for(box: Box) -> None:
    script = """
        until [ "$throttled" -gt 0 ] 2>/dev/null; do
            while read name value; do
                [ $name != nr_throttled ] || throttled=$value
            done </sys/fs/cgroup/cpu.stat
        done
    """
    assert box.run("sh", "-c", script, cpus=0.3).exit_code == 0


def test_its_group_is_the_root_of_what_a_container_sees(box: Box) -> None:
    assert box.sh("cat /proc/self/cgroup") == "0::/\n"
    refused = box.run("mkdir", "/sys/fs/cgroup/inside")
    assert refused.exit_code == 1
    assert "Read-only file system" in refused.stderr


def test_no_group_is_left_and_processes_stay_where_they_were(box: Box) -> None:
    before = own_group()
    assert box.run("true", memory_bytes=16 << 20).exit_code == 0
    assert PLACES.unified
    assert not (PLACES.unified / "pydock").exists()
    assert own_group() == before


def test_everything_inside_is_killed_at_once() -> None:
    identity = secrets.token_hex(32)
    group = find_group(identity)
    group.create(None, best_effort=False)
    assert PLACES.unified
    folder = PLACES.unified / "pydock" / identity
    script = f"echo 0 >{folder}/cgroup.procs; sleep 1000 & exec sleep 1000"
    with subprocess.Popen(["sh", "-c", script]) as inside:
        while len(group.processes()) < 2:
            assert inside.poll() is None
        group.kill()
        assert inside.wait() == -9
    group.remove()
    assert not folder.exists()


def test_groups_made_inside_go_with_their_parent() -> None:
    identity = secrets.token_hex(32)
    group = find_group(identity)
    group.create(None, best_effort=False)
    assert PLACES.unified
    nested = PLACES.unified / "pydock" / identity / "made" / "inside"
    nested.mkdir(parents=True)
    with subprocess.Popen(["sleep", "1000"]) as inside:
        (nested / "cgroup.procs").write_text(str(inside.pid))
        assert group.processes() == {inside.pid}
        group.remove()
        assert inside.wait() == -9
    assert not nested.parents[1].exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="an ordinary user's delegated groups")
def test_an_ordinary_users_groups_are_below_the_delegated_one() -> None:
    assert PLACES.unified
    assert PLACES.unified.name == f"user@{os.geteuid()}.service"
    assert not os.access(PLACES.unified.parent, os.W_OK)
