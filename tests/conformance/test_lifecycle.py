"""States and the ways between them, as runtime-spec's runtime.md has them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.conformance.lab import Lab

pytestmark = pytest.mark.root


def test_run_gives_the_programs_exit_status_and_leaves_nothing(lab: Lab) -> None:
    answer = lab.sh("echo said; echo wrong >&2; exit 7")
    assert (answer.status, answer.out, answer.err) == (7, "said\n", "wrong\n")
    assert lab.call("state", lab.ids[-1]).status == 1
    group = json.loads((lab.bundle / "config.json").read_text())["linux"]["cgroupsPath"]
    assert list(Path("/sys/fs/cgroup").glob(f"*{group}")) == []


def test_a_life_from_created_to_deleted(lab: Lab) -> None:
    document = lab.write("sh", "-c", "echo running; exec sleep 100")
    name = lab.create("--pid-file", str(lab.folder / "pid"))
    state = lab.state(name)
    assert state["status"] == "created"
    assert state["id"] == name
    assert state["bundle"] == str(lab.bundle)
    assert state["annotations"]["org.example.key"] == "value"
    assert state["pid"] == int((lab.folder / "pid").read_text())
    assert lab.output(name) == ""
    assert lab.call("start", name).status == 0
    assert lab.state(name)["status"] == "running"
    assert document["process"]["args"][0] == "sh"
    assert lab.call("kill", name, "KILL").status == 0
    wait_until_stopped(lab, name)
    assert lab.call("delete", name).status == 0
    assert lab.call("state", name).status != 0


def wait_until_stopped(lab: Lab, name: str) -> None:
    """The process is adopted by init of this machine, or by nobody: a zombie has stopped, too."""
    for _ in range(200):
        if lab.state(name)["status"] == "stopped":
            return
    raise AssertionError(f"{name} never stopped")


def test_illegal_transitions_are_errors_with_a_message(lab: Lab) -> None:
    lab.write("sleep", "100")
    name = lab.create()
    assert lab.call("start", name).status == 0
    for command in (["start", name], ["delete", name], ["resume", name]):
        answer = lab.call(*command)
        assert answer.status == 1, command
        assert answer.err, command
    lab.call("kill", name, "KILL")
    wait_until_stopped(lab, name)
    for command in (["start", name], ["kill", name, "TERM"]):
        answer = lab.call(*command)
        assert answer.status == 1, command
        assert answer.err, command


def test_an_id_can_be_used_once_at_a_time(lab: Lab) -> None:
    lab.write("sleep", "100")
    name = lab.create()
    answer = lab.call("create", "--bundle", str(lab.bundle), name)
    assert answer.status == 1
    assert "exist" in answer.err
    assert lab.state(name)["status"] == "created"
    assert lab.call("delete", "--force", name).status == 0


@pytest.mark.parametrize("command", ["state", "start", "delete", "pause", "ps"])
def test_what_is_not_there_is_an_error(lab: Lab, command: str) -> None:
    answer = lab.call(command, "nobody")
    assert answer.status == 1
    assert "does not exist" in answer.err


def test_deleting_what_is_not_there_by_force_is_fine(lab: Lab) -> None:
    assert lab.call("delete", "--force", "nobody").status == 0


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x"])
def test_ids_do_not_climb_out(lab: Lab, name: str) -> None:
    lab.write("true")
    assert lab.call("create", "--bundle", str(lab.bundle), name).status != 0


def test_signals_by_name_and_number_reach_the_program(lab: Lab) -> None:
    script = "trap 'echo usr1' USR1; trap 'echo term; exit 5' TERM; echo ready; while :; do :; done"
    for first in ("USR1", "SIGUSR1", str(int(signal.SIGUSR1))):
        lab.write("sh", "-c", script)
        name = lab.create()
        assert lab.call("start", name).status == 0
        wait_for(lab, name, "ready")
        assert lab.call("kill", name, first).status == 0
        wait_for(lab, name, "usr1")
        assert lab.call("kill", name, "TERM").status == 0
        wait_for(lab, name, "term")


def wait_for(lab: Lab, name: str, word: str) -> None:
    for _ in range(5000):
        if word in lab.output(name):
            return
        os.sched_yield()
    raise AssertionError(f"{word} never came: {lab.output(name)!r}")


def test_pause_stops_everything_and_resume_lets_it_go_on(lab: Lab) -> None:
    lab.write("sleep", "100")
    name = lab.create()
    lab.call("start", name)
    assert lab.call("pause", name).status == 0
    assert lab.state(name)["status"] == "paused"
    assert lab.call("pause", name).status != 0
    assert lab.call("resume", name).status == 0
    assert lab.state(name)["status"] == "running"
    assert lab.call("pause", name).status == 0
    assert lab.call("delete", "--force", name).status == 0


def test_list_and_ps_tell_what_is_there(lab: Lab) -> None:
    lab.write("sleep", "100")
    name = lab.create()
    lab.call("start", name)
    pid = lab.state(name)["pid"]
    listed = json.loads(lab.call("list", "--format", "json").out)
    assert [(entry["id"], entry["status"], entry["pid"]) for entry in listed] == [
        (name, "running", pid)
    ]
    assert lab.call("list", "--quiet").out.split() == [name]
    assert json.loads(lab.call("ps", "--format", "json", name).out) == [pid]
    assert "sleep 100" in lab.call("ps", name).out


def test_a_program_that_is_not_there_is_told_at_create(lab: Lab) -> None:
    lab.write("nowhere")
    answer = lab.call("create", "--bundle", str(lab.bundle), lab.new_id())
    assert answer.status == 1
    assert "not found" in answer.err
    assert lab.call("state", lab.ids[-1]).status != 0


def test_preserved_descriptors_reach_the_program(lab: Lab) -> None:
    lab.write("sh", "-c", "read word <&3; echo got $word; ls /proc/self/fd")
    (lab.folder / "given").write_text("it\n")
    script = f'exec 3< {lab.folder}/given; exec "$@"'
    inner = Lab(["sh", "-c", script, "sh", *lab.command], lab.folder)
    answer = inner.call("run", "--preserve-fds", "1", "--bundle", str(lab.bundle), lab.new_id())
    assert answer.err == ""
    assert answer.lines[0] == "got it"
    assert answer.lines[1:5] == ["0", "1", "2", "3"]
