"""Limits that hold, are refused or are listed; groups that are gone afterwards."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import pytest
from pydock_engine.oci.runtime import LinuxCPU, LinuxMemory, LinuxPids, Resources
from pydock_engine.runtime.cgroups import limits, view
from pydock_engine.runtime.cgroups.group import Cgroup, find_group
from pydock_engine.runtime.cgroups.hierarchies import (
    Hierarchies,
    enable,
    find_hierarchies,
    this_machine,
)

from tests.runtime.lab import Box
from tests.support.groups import needs_controllers

MEMORY = Resources(memory=LinuxMemory(limit=1000, swap=2500))
CPU = Resources(cpu=LinuxCPU(quota=50_000, period=100_000))
PIDS = Resources(pids=LinuxPids(limit=7))

V1_FILES = {"memory.limit_in_bytes", "cpu.cfs_quota_us", "pids.max"}
V2_FILES = {"memory.max", "cpu.max", "pids.max"}
V1_MOUNTS = """\
30 20 0:26 / {top}/memory rw,relatime - cgroup cgroup rw,memory
31 20 0:27 / {top}/cpu\\040acct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 20 0:28 / {top}/freezer rw,relatime - cgroup cgroup rw,freezer
33 20 0:29 / {top}/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2_MOUNT = "30 20 0:26 / {top} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def only_below(*folders: Path):
    return lambda path: any(path.is_relative_to(folder) for folder in folders)


# -- where groups can be made --------------------------------------------------------------------


def test_hybrid_machines_have_controllers_of_v1_and_a_unified_folder(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified" / "cgroup.controllers").write_text("hugetlb\n")
    found = find_hierarchies(V1_MOUNTS.format(top=tmp_path), "0::/\n", writable=lambda _: True)
    assert found.v1 == {"memory": tmp_path / "memory", "cpu": tmp_path / "cpu acct"}
    assert found.unified == tmp_path / "unified"
    assert found.unified_controllers == frozenset()
    assert found.controller("pids") is None
    assert len(found.folders()) == 3


def test_v2_limits_live_in_the_one_folder(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    found = find_hierarchies(V2_MOUNT.format(top=tmp_path), "0::/\n", writable=lambda _: True)
    assert [found.controller(name) for name in ("memory", "cpu", "pids")] == [tmp_path] * 3
    assert found.folders() == [tmp_path]


def test_ordinary_user_gets_the_topmost_group_delegated_to_it(tmp_path: Path) -> None:
    delegated = tmp_path / "user.slice" / "user@1000.service"
    own = delegated / "app.slice" / "run-1.scope"
    own.mkdir(parents=True)
    (delegated / "cgroup.controllers").write_text("memory pids")
    found = find_hierarchies(
        V2_MOUNT.format(top=tmp_path),
        f"0::/{own.relative_to(tmp_path)}\n",
        writable=only_below(delegated),
    )
    assert found.unified == delegated
    assert found.controller("pids") == delegated
    assert found.controller("cpu") is None


def test_nothing_is_found_where_nothing_may_be_written(tmp_path: Path) -> None:
    mounts = V1_MOUNTS.format(top=tmp_path)
    assert find_hierarchies(mounts, "0::/\n", writable=lambda _: False) == Hierarchies()


def test_controllers_are_enabled_once(tmp_path: Path) -> None:
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu")
    enable(tmp_path, frozenset({"cpu", "memory", "pids"}))
    assert control.read_text() == "+memory +pids"
    control.write_text("cpu memory pids")
    enable(tmp_path, frozenset({"cpu", "memory", "pids"}))
    assert control.read_text() == "cpu memory pids"


# -- what is written -----------------------------------------------------------------------------


def test_v1_and_v2_files_say_the_same() -> None:
    v1 = Hierarchies(v1={name: Path("/x") for name in ("memory", "cpu", "pids")})
    assert limits.files("memory", MEMORY, v1) == [
        ("memory.limit_in_bytes", "1000"),
        ("memory.memsw.limit_in_bytes", "2500"),
    ]
    assert limits.files("cpu", CPU, v1) == [
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "50000"),
    ]
    v2 = Hierarchies(unified=Path("/x"))
    assert limits.files("memory", MEMORY, v2) == [
        ("memory.max", "1000"),
        ("memory.swap.max", "1500"),
    ]
    assert limits.files("cpu", CPU, v2) == [("cpu.max", "50000 100000")]
    assert limits.files("pids", PIDS, v1) == limits.files("pids", PIDS, v2) == [("pids.max", "7")]


def test_v2_group_is_made_limited_read_and_removed(tmp_path: Path) -> None:
    """On plain folders: what the kernel would make of the files is tested on a v2 machine."""
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    places = Hierarchies(unified=tmp_path, unified_controllers=frozenset({"memory", "pids"}))
    group = Cgroup("abc", places)
    assert group.create(MEMORY, best_effort=False) == ()
    folder = tmp_path / "pydock" / "abc"
    assert (folder / "memory.max").read_text() == "1000"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "pydock" / "cgroup.subtree_control").read_text() == "+memory"
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert group.oom_kills() == 2


def test_limit_without_controller_is_refused_or_listed(tmp_path: Path) -> None:
    from pydock_engine.errors import Unsupported

    group = Cgroup("abc", Hierarchies())
    both = Resources(memory=LinuxMemory(limit=1), pids=LinuxPids(limit=1))
    with pytest.raises(Unsupported, match="--memory cannot be enforced here"):
        group.create(both, best_effort=False)
    assert group.create(both, best_effort=True) == ("--memory", "--pids-limit")


# -- what a container sees of it -------------------------------------------------------------------


def test_only_own_groups_are_shown() -> None:
    text = "4:memory:/pydock/abc\n3:cpu,cpuacct:/pydock/abc\n2:pids:/docker/x\n0::/pydock/abc\n"
    assert view.own_hierarchies(text, "/pydock/abc") == ("memory", "cpu,cpuacct", "")
    assert view.own_hierarchies(text, "") == ()
    assert not view.only_v2(text)
    assert view.only_v2("0::/user.slice/x.scope\n")


# -- for real ------------------------------------------------------------------------------------


@pytest.mark.root
@needs_controllers
def test_memory_limit_kills_and_is_told(box: Box) -> None:
    script = "x=0123456789abcdef; while true; do x=$x$x; done"
    report = box.run("sh", "-c", script, memory_bytes=16 << 20)
    assert report.exit_code == 137
    assert report.oom_kills >= 1


@pytest.mark.root
@needs_controllers
def test_pids_limit_stops_a_fork_bomb(box: Box) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 30 & done; echo never"
    report = box.run("sh", "-c", script, pids_limit=5)
    assert report.exit_code != 0
    assert "never" not in report.stdout
    assert "can't fork" in report.stderr


@pytest.mark.root
@needs_controllers
def test_limits_are_in_the_containers_groups(box: Box) -> None:
    identity = secrets.token_hex(32)
    report = box.run(
        "sleep",
        "1000",
        abandon=True,
        container_id=identity,
        memory_bytes=64 << 20,
        cpus=0.5,
        pids_limit=9,
    )
    assert report.error == ""
    group = find_group(identity)
    places = this_machine()
    contents = {}
    for name in ("memory", "cpu", "pids"):
        root = places.controller(name)
        assert root
        for file in (root / "pydock" / identity).iterdir():
            if file.name in V1_FILES | V2_FILES:
                contents[file.name] = file.read_text().strip()
    group.remove()
    quota = "50000 100000" if "cpu.max" in contents else "50000"  # v2: quota and period
    assert set(contents.values()) == {str(64 << 20), quota, "9"}


@pytest.mark.root
@needs_controllers
def test_container_reads_its_own_limits_and_cannot_change_them(box: Box) -> None:
    script = """
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
        for f in $(ls -d /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null)
        do (echo 1 > $f) 2>&1; done
        (mkdir /sys/fs/cgroup/x) 2>&1; true
    """
    lines = box.sh(script, memory_bytes=32 << 20).splitlines()
    assert lines[0] == str(32 << 20)
    assert len(lines) > 1
    assert all("Read-only file system" in line for line in lines[1:])


@pytest.mark.root
@pytest.mark.userns
def test_no_group_but_the_containers_own_is_in_sight(box: Box) -> None:
    others = box.sh(
        "find /sys/fs/cgroup -mindepth 2 -type d | grep -v -x /sys/fs/cgroup/unified; true"
    )
    assert others == ""


@pytest.mark.root
def test_group_of_a_dead_monitor_is_emptied_and_removed() -> None:
    identity = secrets.token_hex(32)
    group = find_group(identity)
    group.create(None, best_effort=False)
    unified = this_machine().unified
    if unified is None:
        pytest.skip("needs a cgroup2 mount")
    folder = unified / "pydock" / identity
    with subprocess.Popen(["sleep", "1000"]) as inside:
        (folder / "cgroup.procs").write_text(str(inside.pid))
        assert group.processes() == {inside.pid}
        find_group(identity).remove()
        assert inside.wait() == -9
    assert not folder.exists()
    find_group(identity).remove()  # once more: nothing is there, and that is fine


@pytest.mark.userns
@pytest.mark.skipif(os.geteuid() == 0, reason="an ordinary user without delegated groups")
def test_ordinary_user_without_delegation_is_refused_or_told(private_box: Box) -> None:
    if this_machine().controller("memory") is not None:
        pytest.skip("this user has delegated control groups")
    refused = private_box.run("true", memory_bytes=64 << 20)
    assert refused.error == "Unsupported"
    assert refused.message.startswith("--memory cannot be enforced here")
    assert "--best-effort" in refused.way_out
    listed = private_box.run("true", memory_bytes=64 << 20, cpus=0.5, best_effort=True)
    assert (listed.exit_code, listed.not_applied) == (0, ("--memory", "--cpus"))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"memory_bytes": 1024}, "the least is 6m"), ({"cpus": 1000.0}, "from 0.01 to")],
)
@pytest.mark.root
@pytest.mark.userns
def test_limits_out_of_range_are_refused(
    private_box: Box, options: dict[str, float], said: str
) -> None:
    report = private_box.run("true", **options)
    assert (report.error, said in report.message) == ("UsageError", True)
