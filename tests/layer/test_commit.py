"""Putting an unpacked layer in its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydock_engine.errors import StoreError
from pydock_engine.layer.commit import commit_layer
from pydock_engine.layer.remove import remove_tree
from pydock_engine.protocol.messages import CommitLayer

from tests.layer.conftest import Unpack, Unpacked, no_report
from tests.support.images import entry, folder, symlink, whiteout

Commit = Callable[..., Path]


@pytest.fixture
def commit(tmp_path: Path, level: str) -> Commit:
    """commit(unpacked, *parents nearest first) gives the layer's folder in the store."""
    count = 0

    def call(unpacked: Unpacked, *parents: Path) -> Path:
        nonlocal count
        count += 1
        destination = tmp_path / "store" / "sha256" / str(count)
        request = CommitLayer(
            source=str(unpacked.target),
            destination=str(destination),
            parents=tuple(map(str, parents)),
        )
        commit_layer(request, no_report, level=level)
        assert not unpacked.target.exists()
        return destination

    yield call
    remove_tree(tmp_path / "store")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_implied_folders_take_their_metadata_from_the_layer_below(
    unpack: Unpack, commit: Commit
) -> None:
    note = {"SCHILY.xattr.user.note": "kept"}
    bottom = commit(
        unpack([folder(".", 0o711), folder("a", 0o1777, pax_headers=note), folder("a/b", 0o700)])
    )
    middle = commit(unpack([folder("a/b", 0o750)]), bottom)
    assert mode_of(middle / "diff/a") == 0o1777
    top = commit(unpack([entry("a/b/f")]), middle, bottom)
    assert mode_of(top / "diff") == 0o711
    assert mode_of(top / "diff/a") == 0o1777
    assert mode_of(top / "diff/a/b") == 0o750
    assert os.getxattr(top / "diff/a", "user.note") == b"kept"
    assert (top / "diff/a").stat().st_mtime == (bottom / "diff/a").stat().st_mtime


@pytest.mark.parametrize(
    "hiding",
    [
        [whiteout("a")],
        [entry("a", data=b"a file now")],
        [symlink("a", "elsewhere")],
        [folder("x/a"), folder("a", 0o755), entry("a/.wh..wh..opq")],
    ],
)
def test_nothing_is_inherited_from_what_is_out_of_view(
    unpack: Unpack, commit: Commit, hiding: list[object]
) -> None:
    bottom = commit(unpack([folder("a/b", 0o700)]))
    middle = commit(unpack(hiding), bottom)  # type: ignore[arg-type]
    top = commit(unpack([entry("a/b/f")]), middle, bottom)
    assert mode_of(top / "diff/a/b") == 0o755


def test_commit_twice_keeps_the_first(unpack: Unpack, tmp_path: Path, level: str) -> None:
    destination = tmp_path / "store" / "one"
    for content in (b"first", b"second"):
        source = unpack([entry("f", data=content)]).target
        request = CommitLayer(source=str(source), destination=str(destination))
        commit_layer(request, no_report, level=level)
        assert not source.exists()
    assert (destination / "diff/f").read_bytes() == b"first"
    commit_layer(request, no_report, level=level)  # even with the source gone


def test_unfinished_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "half" / "diff").mkdir(parents=True)
    request = CommitLayer(source=str(tmp_path / "half"), destination=str(tmp_path / "place"))
    with pytest.raises(StoreError, match="not an unpacked layer"):
        commit_layer(request, no_report)
    assert not (tmp_path / "place").exists()


def test_commit_that_was_cut_off_can_be_done_again(
    unpack: Unpack, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottom = commit(unpack([folder("a", 0o1777)]))
    unpacked = unpack([entry("a/f")])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            commit(unpacked, bottom)
    assert unpacked.target.exists()
    assert mode_of(commit(unpacked, bottom) / "diff/a") == 0o1777
