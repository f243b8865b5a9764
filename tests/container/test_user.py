"""`--user` against an image's own files, which may be anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydock_engine.container import user as user_module
from pydock_engine.container.user import ResolvedUser, resolve_user
from pydock_engine.errors import UsageError

PASSWD = """\
# a comment

root:x:0:0:root:/root:/bin/sh
daemon:x:1:1::/usr/sbin:
app:x:1000:1001:app:/home/app:/bin/sh
42:x:7:7:a number as a name:/srv:
broken line
short:x:9
"""
GROUP = "root:x:0:\nstaff:x:50:app,root\napp:x:1001:\nextra:x:2000:app\n99:x:98:app\n"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


@pytest.fixture
def rootfs_fd(image: Path) -> Iterator[int]:
    fd = os.open(image, os.O_PATH)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", ResolvedUser(0, 0, (50,), "/root")),
        ("app", ResolvedUser(1000, 1001, (50, 2000, 98), "/home/app")),
        ("1000", ResolvedUser(1000, 1001, (50, 2000, 98), "/home/app")),
        ("app:staff", ResolvedUser(1000, 50, (), "/home/app")),
        ("app:5000", ResolvedUser(1000, 5000, (), "/home/app")),
        ("12345", ResolvedUser(12345, 0, (), "/")),
        ("12345:678", ResolvedUser(12345, 678, (), "/")),
        ("42", ResolvedUser(7, 7, (), "/srv")),
        ("0:99", ResolvedUser(0, 98, (), "/root")),
        ("4294967294", ResolvedUser(4294967294, 0, (), "/")),
    ],
)
def test_names_and_numbers_are_resolved_as_docker_does(
    rootfs_fd: int, asked: str, expected: ResolvedUser
) -> None:
    assert resolve_user(rootfs_fd, asked) == expected


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("alice", "no user 'alice'"),
        ("app:nobody", "no group 'nobody'"),
        ("short", "no user 'short'"),
        ("4294967295", "out of range"),
        ("9" * 400, "out of range"),
        ("-1", "no user '-1'"),
        ("١", "no user"),  # a digit, but not one of ours  # noqa: RUF001
    ],
)
def test_unknown_names_are_named(rootfs_fd: int, asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_user(rootfs_fd, asked)


def test_image_without_the_files_knows_numbers_only(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert resolve_user(fd, "") == ResolvedUser()
        assert resolve_user(fd, "7:8") == ResolvedUser(7, 8)
        with pytest.raises(UsageError, match="no user 'root'"):
            resolve_user(fd, "root")
    finally:
        os.close(fd)


def test_files_are_the_images_even_through_links(image: Path, rootfs_fd: int) -> None:
    (image / "etc/passwd").unlink()
    (image / "etc/passwd").symlink_to("/elsewhere")
    (image / "elsewhere").write_text("app:x:5:5::/inside:\n")
    assert resolve_user(rootfs_fd, "app").uid == 5
    (image / "etc/passwd").unlink()
    (image / "etc/passwd").symlink_to("../../../../../../../../etc/passwd")
    with pytest.raises(UsageError):
        resolve_user(rootfs_fd, "root")


def test_pipe_in_place_of_the_file_does_not_hang(image: Path, rootfs_fd: int) -> None:
    (image / "etc/passwd").unlink()
    os.mkfifo(image / "etc/passwd")
    assert resolve_user(rootfs_fd, "3").uid == 3


def test_huge_file_is_refused(image: Path, rootfs_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_module, "MAX_FILE_BYTES", 10)
    with pytest.raises(UsageError, match="/etc/passwd is larger than 10 bytes"):
        resolve_user(rootfs_fd, "root")


@given(content=st.binary(max_size=300), asked=st.text(max_size=12))
def test_any_content_gives_numbers_in_range_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, asked: str
) -> None:
    image = tmp_path_factory.mktemp("image")
    (image / "etc").mkdir()
    (image / "etc/passwd").write_bytes(b"a:x:" + content)
    (image / "etc/group").write_bytes(content)
    fd = os.open(image, os.O_PATH)
    try:
        found = resolve_user(fd, asked)
        assert 0 <= found.uid <= user_module.MAX_ID
        assert 0 <= found.gid <= user_module.MAX_ID
    except UsageError:
        pass
    finally:
        os.close(fd)
