"""Finding and making places inside a root by descriptor."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydock_engine.errors import UsageError
from pydock_engine.runtime.targets import open_inside, open_target


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_PATH)
    yield fd
    os.close(fd)


def place_of(fd: int) -> Path:
    place = Path(os.readlink(f"/proc/self/fd/{fd}"))
    os.close(fd)
    return place


def test_missing_folders_are_made_with_mode_755(root: Path, root_fd: int) -> None:
    assert place_of(open_target(root_fd, "/a/b/c", directory=True)) == root / "a/b/c"
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o755


def test_missing_file_is_made_empty(root: Path, root_fd: int) -> None:
    assert place_of(open_target(root_fd, "/a/file", directory=False)) == root / "a/file"
    assert (root / "a/file").read_bytes() == b""


def test_what_is_there_is_left_alone(root: Path, root_fd: int) -> None:
    (root / "etc").mkdir(mode=0o700)
    (root / "etc/file").write_text("old")
    os.close(open_target(root_fd, "/etc/file", directory=False))
    os.close(open_target(root_fd, "/etc", directory=True))
    assert (root / "etc/file").read_text() == "old"
    assert stat.S_IMODE((root / "etc").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("/elsewhere/file", "elsewhere/file"),
        ("../../../../file", "file"),
        ("../run/systemd/resolv.conf", "run/systemd/resolv.conf"),
        ("second", "etc/third"),
    ],
)
def test_dangling_symlink_is_completed_inside(
    root: Path, root_fd: int, target: str, where: str
) -> None:
    (root / "etc").mkdir()
    (root / "etc/link").symlink_to(target)
    (root / "etc/second").symlink_to("third")
    assert place_of(open_target(root_fd, "/etc/link", directory=False)) == root / where


def test_symlink_in_the_middle_may_dangle_too(root: Path, root_fd: int) -> None:
    (root / "var").symlink_to("/private/var")
    found = place_of(open_target(root_fd, "/var/lib/x", directory=True))
    assert found == root / "private/var/lib/x"


def test_endless_links_and_files_as_folders_are_refused(root: Path, root_fd: int) -> None:
    (root / "loop").symlink_to("loop")
    (root / "file").write_text("")
    for path in ("/loop/x", "/file/x"):
        with pytest.raises(UsageError, match=path):
            open_target(root_fd, path, directory=True)


def test_without_follow_a_symlink_is_refused(root: Path, root_fd: int) -> None:
    (root / "proc").symlink_to("/etc")
    with pytest.raises(UsageError, match="/proc"):
        open_target(root_fd, "/proc", directory=True, follow=False)


def test_magic_links_are_not_followed() -> None:
    proc = os.open("/proc", os.O_PATH)
    try:
        with pytest.raises(OSError, match="symbolic links"):
            open_inside(proc, "self/root/etc")
    finally:
        os.close(proc)


@settings(max_examples=150, deadline=None)
@given(
    links=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.lists(st.sampled_from(["a", "b", "c", "..", "/"]), min_size=1, max_size=5),
        ),
        max_size=3,
    ),
    path=st.lists(st.sampled_from(["a", "b", "c", "..", "new"]), min_size=1, max_size=5),
)
def test_no_tangle_of_links_leads_outside(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, list[str]]], path: list[str]
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "root"
    root.mkdir()
    for name, target in links:
        if not os.path.lexists(root / name):
            (root / name).symlink_to("/".join(target))
    fd = os.open(root, os.O_PATH)
    try:
        place = place_of(open_target(fd, "/".join(path), directory=True))
        assert place == root or root in place.parents
    except UsageError:
        pass
    finally:
        os.close(fd)
    assert os.listdir(outside) == ["root"]
