"""Removing trees, hostile ones included."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pydock_engine.errors import SyscallError, UsageError
from pydock_engine.layer.remove import remove_tree, remove_trees
from pydock_engine.protocol.messages import RemoveTrees

from tests.layer.conftest import no_report


def test_whole_tree_goes_and_a_missing_one_is_fine(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").write_text("x")
    remove_trees(RemoveTrees(paths=(str(tree), str(tmp_path / "none"))), no_report)
    assert os.listdir(tmp_path) == []


def test_links_are_removed_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("x")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "folder").symlink_to("../outside")
    (tree / "file").symlink_to("../outside/kept")
    os.link(tmp_path / "outside" / "kept", tree / "hard")
    remove_tree(tree)
    assert not tree.exists()
    assert (tmp_path / "outside" / "kept").read_text() == "x"


def test_folders_whose_mode_locks_their_owner_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "f").write_text("x")
    for folder in (tree / "a" / "b", tree / "a", tree):
        folder.chmod(0)
    remove_tree(tree)
    assert not tree.exists()


def test_nesting_deeper_than_any_stack(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(3000):  # far beyond PATH_MAX, the recursion limit and RLIMIT_NOFILE
        os.mkdir("dir", dir_fd=fd)
        below = os.open("dir", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove_tree(tree)
    assert not tree.exists()


@pytest.mark.parametrize("path", ["relative", "/", "/tmp/../etc", "/etc", "/store/../x"])
def test_paths_outside_are_refused_before_anything_is_removed(tmp_path: Path, path: str) -> None:
    (tmp_path / "tree").mkdir()
    request = RemoveTrees(paths=(str(tmp_path / "tree"), path))
    with pytest.raises(UsageError, match="refusing"):
        remove_trees(request, no_report, below=[tmp_path / "other", tmp_path])
    assert (tmp_path / "tree").exists()


def test_symlink_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside" / "tree").mkdir(parents=True)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "link").symlink_to("../outside")
    request = RemoveTrees(paths=(str(tmp_path / "store" / "link" / "tree"),))
    with pytest.raises(SyscallError, match="openat2"):
        remove_trees(request, no_report, below=[tmp_path / "store"])
    assert (tmp_path / "outside" / "tree").exists()


@pytest.mark.root
def test_mount_inside_is_never_entered(tmp_path: Path) -> None:
    mounted, tree = tmp_path / "precious", tmp_path / "tree"
    (tree / "mnt").mkdir(parents=True)
    mounted.mkdir()
    (mounted / "kept").write_text("x")
    subprocess.run(["mount", "--bind", mounted, tree / "mnt"], check=True)
    try:
        with pytest.raises(SyscallError, match=r"cross-device|EXDEV"):
            remove_tree(tree)
        assert (mounted / "kept").read_text() == "x"
    finally:
        subprocess.run(["umount", tree / "mnt"], check=True)
