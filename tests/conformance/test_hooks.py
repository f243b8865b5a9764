"""Hooks: when they run, where, and what they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.lab import Lab

pytestmark = pytest.mark.root

OUTSIDE = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
STATUS = {
    "prestart": ("creating", "created"),  # runc and crun say it as they see it
    "createRuntime": ("creating", "created"),
    "createContainer": ("creating", "created"),
    "startContainer": ("created", "starting"),
    "poststart": ("running", "created"),
    "poststop": ("stopped",),
}


def hook(log: Path, kind: str) -> dict[str, Any]:
    script = f"read -r line; echo $line > {log}/{kind}; echo {kind} >> {log}/order"
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}


def test_each_runs_once_in_order_with_the_state_on_its_stdin(lab: Lab) -> None:
    log = lab.folder / "log"
    log.mkdir()
    hooks = {kind: [hook(log, kind)] for kind in OUTSIDE}
    inside = hook(Path("/tmp"), "startContainer")
    hooks["startContainer"] = [inside]
    answer = lab.sh("cat /tmp/startContainer", hooks=hooks)
    assert answer.status == 0, answer.err
    assert (log / "order").read_text().split() == list(OUTSIDE)
    told = {kind: json.loads((log / kind).read_text()) for kind in OUTSIDE}
    told["startContainer"] = json.loads(answer.out)
    for kind, state in told.items():
        assert state["id"] == lab.ids[-1]
        assert state["bundle"] == str(lab.bundle)
        assert state["status"] in STATUS[kind], kind
        assert state["annotations"] == {"org.example.key": "value"}
    assert told["prestart"]["pid"] > 0


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_hook_that_fails_is_the_end_of_create(lab: Lab, kind: str) -> None:
    bad = {"path": "/bin/sh", "args": ["sh", "-c", "echo sorry >&2; exit 3"]}
    lab.write("true", hooks={kind: [bad]})
    answer = lab.call("create", "--bundle", str(lab.bundle), lab.new_id())
    assert answer.status == 1
    assert lab.call("state", lab.ids[-1]).status != 0


def test_a_hook_has_a_time_limit(lab: Lab) -> None:
    slow = {"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}
    lab.write("true", hooks={"createRuntime": [slow]})
    answer = lab.call("create", "--bundle", str(lab.bundle), lab.new_id())
    assert answer.status == 1
    assert answer.err
