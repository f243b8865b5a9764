"""The run directory is ours or refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from pydock_engine.errors import StoreError
from pydock_engine.spawner import rundir


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_us_alone(tmp_path: Path) -> None:
    run = tmp_path / "a" / "run"
    rundir.prepare(run)
    assert mode(run) == 0o700
    rundir.prepare(run)


def test_our_own_is_closed_to_others(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    run.chmod(0o755)
    rundir.prepare(run)
    assert mode(run) == 0o700


def test_a_parent_that_everybody_may_change_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(StoreError, match="everybody"):
        rundir.prepare(shared / "run")
    shared.chmod(0o1777)
    rundir.prepare(shared / "run")


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StoreError, match="not a folder"):
        rundir.prepare(tmp_path / "run")


@pytest.mark.root
@pytest.mark.parametrize("what", ["run", "parent"])
def test_what_another_user_has_made_is_refused(tmp_path: Path, what: str) -> None:
    run = tmp_path / "parent" / "run"
    run.mkdir(parents=True)
    os.chown(run if what == "run" else run.parent, 12345, 12345)
    with pytest.raises(StoreError, match="belongs to uid 12345") as caught:
        rundir.prepare(run)
    assert "PYDOCK_RUN" in caught.value.way_out


@pytest.mark.root
def test_a_link_to_another_users_folder_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    (tmp_path / "run").symlink_to(theirs)
    with pytest.raises(StoreError, match="belongs to uid 12345"):
        rundir.prepare(tmp_path / "run")
