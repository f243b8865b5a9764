"""Volumes and tmpfs as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydock_engine.cli.mounts import parse_tmpfs, parse_volume
from pydock_engine.container.options import BindMount
from pydock_engine.errors import Unsupported, UsageError


def test_relative_sources_start_at_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_volume("./data:/data:ro") == BindMount(
        source=f"{tmp_path}/data", target="/data", read_only=True
    )
    assert parse_volume(".:/here").source == str(tmp_path)
    assert parse_volume("sub/data:/d").source == f"{tmp_path}/sub/data"
    assert parse_volume("~/x:/x/").source == "/home/me/x"
    assert parse_volume("/a/../b:/c//d/:rw") == BindMount(source="/b", target="/c/d")


@pytest.mark.parametrize(
    "text", ["", ":", "a", "/a", "/a:", ":/a", "/a:b", "/a:/b:xx", "/a:/b:ro:rw", "/a:/", "/a:/.."]
)
def test_what_is_no_volume_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_volume(text)
    assert repr(text) in caught.value.message
    assert caught.value.way_out


def test_a_bare_name_is_a_named_volume_and_said_so() -> None:
    with pytest.raises(Unsupported, match="named volumes are not there yet") as caught:
        parse_volume("data:/data")
    assert "./data:/data" in caught.value.way_out


def test_tmpfs_options_are_checked() -> None:
    assert parse_tmpfs("/tmp:size=64m,mode=1777,noexec") == "/tmp:size=64m,mode=1777,noexec"
    assert parse_tmpfs("/tmp") == "/tmp"
    for text in ("tmp", "/tmp:foo", "/tmp:bind=1", "/", "/tmp:size"):
        with pytest.raises(UsageError):
            parse_tmpfs(text)
