"""Other processes in a container that runs."""

from __future__ import annotations

import json
import os

import pytest

from tests.conformance.lab import CAPABILITIES, Lab

pytestmark = pytest.mark.root


@pytest.fixture
def running(lab: Lab) -> str:
    lab.write("sleep", "100")
    name = lab.create()
    assert lab.call("start", name).status == 0
    return name


def test_it_is_in_all_namespaces_and_groups(lab: Lab, running: str) -> None:
    pid = lab.state(running)["pid"]
    names = ("pid", "ipc", "uts", "mnt", "net", "cgroup", "user")
    script = " && ".join(f"readlink /proc/self/ns/{name}" for name in names)
    answer = lab.call("exec", running, "sh", "-c", f"{script}; cat /proc/self/cgroup; ps | wc -l")
    assert answer.err == ""
    assert answer.lines[:7] == [os.readlink(f"/proc/{pid}/ns/{name}") for name in names]
    with open(f"/proc/{pid}/cgroup") as file:
        assert answer.lines[7:-1] == file.read().splitlines()


def test_flags_change_the_containers_own_process(lab: Lab, running: str) -> None:
    flags = ["--cwd", "/tmp", "--env", "B=c", "--user", "5:6", "--additional-gids", "7"]
    script = "id -u; id -g; grep ^Groups /proc/self/status; pwd; echo $A$B; exit 9"
    answer = lab.call("exec", *flags, running, "sh", "-c", script)
    assert answer.status == 9
    assert [line.strip() for line in answer.lines] == ["5", "6", "Groups:\t7", "/tmp", "bc"]


def test_a_process_document_replaces_it(lab: Lab, running: str) -> None:
    document = {
        "args": ["sh", "-c", "echo $X; grep -E 'CapEff|NoNew' /proc/self/status"],
        "cwd": "/",
        "env": ["PATH=/bin", "X=y"],
        "user": {"uid": 0, "gid": 0},
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES[:1]),
        "noNewPrivileges": True,
    }
    (lab.folder / "process.json").write_text(json.dumps(document))
    answer = lab.call("exec", "--process", str(lab.folder / "process.json"), running)
    assert answer.lines == ["y", f"CapEff:\t{1:016x}", "NoNewPrivs:\t1"]


def test_detached_it_leaves_its_pid(lab: Lab, running: str) -> None:
    file = lab.folder / "exec.pid"
    flags = ("--detach", "--pid-file", str(file))
    assert lab.leave("exec", *flags, running, "sleep", "50") == 0
    pid = int(file.read_text())
    with open(f"/proc/{pid}/cmdline") as cmdline:
        assert cmdline.read() == "sleep\0" + "50\0"
    assert pid in json.loads(lab.call("ps", "--format", "json", running).out)


def test_what_cannot_be_executed_is_told(lab: Lab, running: str) -> None:
    answer = lab.call("exec", running, "nowhere")
    assert answer.status not in (0, 1)
    assert "not found" in answer.err


def test_there_is_no_exec_without_a_running_container(lab: Lab) -> None:
    assert lab.call("exec", "nobody", "true").status != 0


def test_the_host_cannot_be_reached_by_way_of_the_new_process(lab: Lab, running: str) -> None:
    # CVE-2019-5736, CVE-2024-21626
    for number in range(3, 10):
        answer = lab.call("exec", "--cwd", f"/proc/self/fd/{number}", running, "pwd")
        assert answer.status != 0
    (lab.rootfs / "bin" / "self").symlink_to("/proc/self/exe")
    answer = lab.call("exec", running, "/bin/self", "-c", "print('host')")
    assert "host" not in answer.out
