"""The faces of results: short, true, and harmless whatever a program or an image calls itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydock_engine.container.records import LogEntry, RunResult
from pydock_engine.image.records import ImageRemoval

from pydock_magic.commands.container import failure
from pydock_magic.display import Names
from pydock_magic.results import Logs, Removed, Result, duration, last_line

NASTY = "\x1b]0;owned\x07<script>alert(1)</script>"


def result(**changes: Any) -> Result:
    fields: dict[str, Any] = {
        "exit_code": 0,
        "stdout": "",
        "stderr": "",
        "duration_s": 0.05,
        "oom_killed": False,
        "timed_out": False,
        "container_id": "ab" * 32,
        "name": "brave_euler",
        "image": "busybox:latest",
        "isolation": "root",
        "not_applied": (),
    }
    return Result(RunResult(**{**fields, **changes}))


def test_text_face_is_one_line() -> None:
    assert repr(result()) == "exit 0 · 0.05 s · busybox:latest · brave_euler · level root"


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"exit_code": 3}, "exit 3"),
        ({"exit_code": 143, "timed_out": True}, "timed out"),
        ({"exit_code": 137, "oom_killed": True}, "out of memory (exit 137)"),
    ],
)
def test_headline_says_how_it_ended(changes: dict[str, Any], headline: str) -> None:
    assert repr(result(**changes)).startswith(headline)
    assert f"<b>{headline}</b>" in result(**changes)._repr_html_()


def test_output_is_not_shown_again() -> None:
    shown = result(stdout="hello\n")
    assert "hello" not in repr(shown) + shown._repr_html_()


def test_what_is_not_whole_is_said() -> None:
    shown = result(not_applied=("--memory 64m",), truncated=True)
    assert repr(shown).splitlines()[1:] == [
        "not applied: --memory 64m",
        "stdout and stderr hold only the beginning of what the program wrote",
    ]


def test_faces_are_harmless() -> None:
    shown = result(name=NASTY, image=NASTY, not_applied=(NASTY,))
    logs = Logs([("stdout", NASTY), ("stderr", NASTY)])
    for html in (shown._repr_html_(), logs._repr_html_()):
        assert "<script>" not in html
    assert "\x1b" not in repr(shown) + shown._repr_html_() + repr(Names([NASTY]))


def test_the_records_fields_are_the_results() -> None:
    shown = result(stdout="x", exit_code=2)
    assert (shown.exit_code, shown.stdout, shown.container_id) == (2, "x", "ab" * 32)
    assert {"exit_code", "stdout", "not_applied"} <= set(dir(shown))
    with pytest.raises(AttributeError):
        _ = shown.nosuch


@pytest.mark.parametrize(
    ("changes", "message", "way_out"),
    [
        ({"exit_code": 1, "stderr": "a\nb\n\n"}, "ended with exit code 1: b", "--no-raise-error"),
        ({"exit_code": 1}, "ended with exit code 1", "--no-raise-error"),
        ({"exit_code": 137, "oom_killed": True}, "out of memory", "--memory"),
        ({"exit_code": 143, "timed_out": True}, "ended after 0.1 s by --timeout", "more time"),
    ],
)
def test_failures_say_why_and_what_to_do(
    changes: dict[str, Any], message: str, way_out: str
) -> None:
    error = failure(result(**changes), {"rm": False})
    assert message in error.message
    assert way_out in error.way_out
    assert "%container logs brave_euler" in error.way_out
    assert "logs" not in failure(result(**changes), {"rm": True}).way_out


def entry(data: bytes, stream: str = "stdout") -> LogEntry:
    return LogEntry(stream=stream, data=data, time="2024-05-06T07:08:09Z")


def test_logs_keep_the_end_of_what_is_too_much() -> None:
    logs = Logs.collect([entry(b"%04d\n" % n) for n in range(100)], 50)
    assert str(logs).split() == [f"{n:04}" for n in range(90, 100)]
    assert logs.left_out_bytes == 450
    assert repr(logs).startswith("… 450 B before this left out")


def test_logs_join_characters_that_were_cut() -> None:
    data = "ä".encode()
    logs = Logs.collect([entry(data[:1]), entry(b"x", "stderr"), entry(data[1:])], 50)
    assert (logs.stdout, logs.stderr) == ("ä", "x")


def test_logs_with_times() -> None:
    logs = Logs.collect([entry(b"a\n")], 50, timestamps=True)
    assert str(logs) == "2024-05-06T07:08:09Z a\n"


def test_removed_images_are_named() -> None:
    removed = Removed([ImageRemoval(untagged=("busybox:1",), freed_bytes=2_000_000)])
    assert repr(removed) == "removed busybox:1 · 2 MB freed"


def test_durations_and_last_lines() -> None:
    assert [duration(s) for s in (0.049, 12.34, 200)] == ["0.05 s", "12.3 s", "3 min 20 s"]
    assert last_line("a\n\n  b  \n\n") == "b"
    assert last_line("") == ""
    assert len(last_line("x" * 10_000)) == 200


def test_a_removed_container_says_so(tmp_path: Any) -> None:
    from pydock_magic.results import Container

    record = SimpleNamespace(
        name="web",
        status="running",
        image="busybox",
        short_id="ab" * 6,
        paths=SimpleNamespace(base=tmp_path / "gone"),
    )
    assert repr(Container(record)) == "web · removed · busybox · abababababab"  # type: ignore[arg-type]
