"""Which level there is, and what stands in the way of a better one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydock_engine.errors import Unsupported
from pydock_engine.paths import Paths
from pydock_engine.spawner import userns
from pydock_engine.spawner.client import Spawner


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if newuidmap and newgidmap were installed."""
    monkeypatch.setattr(userns, "which", lambda name: f"/usr/bin/{name}")


def etc(folder: Path, subuid: str, subgid: str) -> Path:
    (folder / "subuid").write_text(subuid)
    (folder / "subgid").write_text(subgid)
    return folder


def test_ranges_follow_the_users_own_id(tmp_path: Path, helpers: None) -> None:
    lines = "other:1:9\n4711:100000:65536\n4711:300000:10\nbroken\n4711:x:y\n"
    found = userns.subordinate_ranges(4711, etc(tmp_path, lines, "4711:500000:65536\n"))
    assert found.uids == (0, 4711, 1, 1, 100000, 65536, 65537, 300000, 10)
    assert found.gids == (0, os.getgid(), 1, 1, 500000, 65536)


@pytest.mark.parametrize("lines", ["", "other:100000:65536\n", "4711:100000:1000\n"])
def test_too_few_ids_are_told_with_the_way_out(tmp_path: Path, helpers: None, lines: str) -> None:
    with pytest.raises(LookupError, match=r"subuid.*usermod --add-subuids"):
        userns.subordinate_ranges(4711, etc(tmp_path, lines, lines))


def test_missing_files_mean_no_ids(tmp_path: Path, helpers: None) -> None:
    with pytest.raises(LookupError):
        userns.subordinate_ranges(4711, tmp_path)


def test_a_missing_helper_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userns, "which", lambda name: None)
    with pytest.raises(LookupError, match="newuidmap is not installed"):
        userns.subordinate_ranges(4711)


@pytest.mark.root
def test_root_is_root(spawner: Spawner) -> None:
    welcome = spawner.welcome()
    assert (welcome.level, welcome.reason) == ("root", "")


@pytest.mark.userns
def test_inside_the_spawner_this_user_is_root(spawner: Spawner) -> None:
    pid = spawner.welcome().pid
    lines = [line.split() for line in Path(f"/proc/{pid}/uid_map").read_text().splitlines()]
    assert lines[0] == ["0", str(os.getuid()), "1"]
    expected = {"rootless": 2, "rootless-single": 1}[spawner.level()]
    assert len(lines) >= expected


@pytest.mark.userns
@pytest.mark.parametrize("broken", ["newuidmap", "newgidmap"])
def test_a_broken_helper_leads_to_the_single_id(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    for name in ("newuidmap", "newgidmap"):
        place = tmp_path / name
        refused = f"#!/bin/sh\necho {name}: refused >&2\nexit 1\n"
        place.write_text(refused if name == broken else f'#!/bin/sh\nexec /usr/bin/{name} "$@"\n')
        place.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    spawner = Spawner(paths)
    try:
        welcome = spawner.welcome()
    finally:
        spawner.stop()
    assert welcome.level == "rootless-single"
    assert "refused" in welcome.reason or "usermod" in welcome.reason


def test_without_user_namespaces_containers_are_refused_and_layers_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(flags: int) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(userns.syscalls, "unshare", refuse)
    level = userns._single("no ids")
    assert level.name == "none"
    assert level.of_files == "rootless-single"
    with pytest.raises(Unsupported, match=r"user namespaces are refused.*no ids"):
        level.refuse_containers()
    userns.Level("rootless").refuse_containers()
