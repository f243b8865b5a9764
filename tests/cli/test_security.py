"""`--security-opt` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydock_engine.cli.security import parse_security
from pydock_engine.errors import Unsupported, UsageError

PROFILE = '{"defaultAction": "SCMP_ACT_ALLOW"}'


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("no-new-privileges", {"no_new_privileges": True}),
        ("no-new-privileges:false", {"no_new_privileges": False}),
        ("no-new-privileges=true", {"no_new_privileges": True}),
        ("seccomp=unconfined", {"seccomp": "unconfined"}),
        ("seccomp:unconfined", {"seccomp": "unconfined"}),
        ("seccomp=builtin", {"seccomp": None}),
    ],
)
def test_options_become_fields(text: str, fields: dict[str, object]) -> None:
    assert parse_security(text) == fields


def test_a_file_is_read_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own=profile:1.json").write_text(PROFILE)
    assert parse_security("seccomp=own=profile:1.json") == {"seccomp": PROFILE}


def test_a_file_that_is_no_profile_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("{}")
    for name in ("p", "nowhere"):
        with pytest.raises(UsageError, match=name):
            parse_security(f"seccomp={tmp_path}/{name}")


def test_what_is_not_there_yet_is_told_apart_from_what_is_not() -> None:
    with pytest.raises(Unsupported, match="apparmor"):
        parse_security("apparmor=unconfined")
    for text in ("seccomp", "seccomp=", "no-new-privileges=maybe", "x=y", ""):
        with pytest.raises(UsageError, match="not a security option"):
            parse_security(text)
