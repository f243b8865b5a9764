"""Volumes, tmpfs and the root itself; and images that try to have them mounted elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydock_engine.container.options import BindMount

from tests.runtime.lab import Box

pytestmark = [pytest.mark.root, pytest.mark.userns]


def volume(source: Path, target: str, *, read_only: bool = False) -> tuple[BindMount, ...]:
    return (BindMount(source=str(source), target=target, read_only=read_only),)


@pytest.fixture
def shared(short_path: Path) -> Path:
    """A host folder with a file and a folder in it."""
    folder = short_path / "shared"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("from the host\n")
    return folder


def test_what_is_written_to_a_bind_belongs_to_its_owner_outside(box: Box, shared: Path) -> None:
    script = "cat /data/file; echo new > /data/new; stat -c %u:%g /data/file /data/new"
    assert box.sh(script, volumes=volume(shared, "/data")).splitlines() == [
        "from the host",
        "0:0",
        "0:0",
    ]
    written = (shared / "new").stat()
    assert (written.st_uid, written.st_gid) == (os.geteuid(), os.getegid())


def test_read_only_bind_cannot_be_written(box: Box, shared: Path) -> None:
    bind = volume(shared, "/data", read_only=True)
    for script in ("echo x > /data/file", "touch /data/sub/x", "rm /data/file"):
        report = box.run("sh", "-c", script, volumes=bind)
        assert report.exit_code != 0
        assert "Read-only file system" in report.stderr
    assert (shared / "file").read_text() == "from the host\n"


def test_single_file_can_be_bound_over_a_file_or_nothing(box: Box, shared: Path) -> None:
    for target in ("/etc/passwd", "/new/place/file"):
        shown = box.sh(f"cat {target}", volumes=volume(shared / "file", target))
        assert shown == "from the host\n"


def test_inner_mounts_lie_on_outer_ones_whatever_their_order(box: Box, shared: Path) -> None:
    both = volume(shared, "/a/b") + volume(shared / "sub", "/a")
    assert box.sh("ls -A /a /a/b", volumes=both).split() == ["/a:", "b", "/a/b:", "file", "sub"]


def test_folder_that_holds_the_engines_own_can_be_bound(box: Box) -> None:
    """The overlay's workshop must not come along: its mounts cannot be shown with other ids."""
    shown = box.sh("ls /host", volumes=volume(box.paths.run.parent, "/host")).split()
    assert box.paths.run.name in shown


def test_missing_source_is_named(box: Box, shared: Path) -> None:
    report = box.run("true", volumes=volume(shared / "nope", "/x"))
    assert report.error == "UsageError"
    assert f"cannot bind {shared}/nope: no such file" in report.message


def test_folder_on_a_file_is_refused(box: Box, shared: Path) -> None:
    report = box.run("true", volumes=volume(shared, "/etc/passwd"))
    assert report.error in ("UsageError", "SyscallError")
    assert "/etc/passwd" in report.message


def test_root_itself_is_not_mounted_over(box: Box, shared: Path) -> None:
    report = box.run("true", volumes=volume(shared, "/x/.."))
    assert (report.error, "root itself" in report.message) == ("UsageError", True)


def test_relative_target_is_refused(box: Box, shared: Path) -> None:
    report = box.run("true", volumes=volume(shared, "data"))
    assert (report.error, "must be absolute" in report.message) == ("UsageError", True)


def test_tmpfs_has_dockers_flags_and_the_asked_size(box: Box) -> None:
    line = box.sh("grep ' /scratch ' /proc/self/mounts", tmpfs=("/scratch:size=1m,mode=0700",))
    assert set(line.split()[3].split(",")) >= {"nosuid", "nodev", "noexec", "size=1024k"}
    script = "head -c 2m /dev/zero > /scratch/x; stat -c %s /scratch/x"
    assert box.run("sh", "-c", script, tmpfs=("/scratch:size=1m",)).stdout == "1048576\n"


def test_read_only_root_leaves_volumes_writable(box: Box, shared: Path) -> None:
    script = "touch /x 2>&1; touch /data/y; touch /t/z && echo done"
    shown = box.sh(script, read_only=True, volumes=volume(shared, "/data"), tmpfs=("/t",))
    assert "Read-only file system" in shown
    assert "done" in shown
    assert (shared / "y").exists()


def test_changes_stay_in_the_containers_own_layer(box: Box) -> None:
    identity = "cd" * 32
    box.sh("echo changed > /etc/passwd; rm /etc/group; mkdir /made", container_id=identity)
    assert "app:x:1000" in (box.diff / "etc" / "passwd").read_text()
    upper = box.paths.container(identity).snapshot / "upper"
    assert (upper / "etc" / "passwd").read_text() == "changed\n"
    assert (upper / "made").is_dir()
    again = box.sh("cat /etc/passwd; ls /etc/group 2>&1; true", container_id=identity)
    assert again.splitlines()[0] == "changed"
    assert "No such file" in again


@pytest.mark.parametrize(
    "target", ["/link/inner", "/up/inner", "/etc/absolute", "/dangling/inner", "/chain/inner"]
)
def test_symlinks_of_an_image_lead_nowhere_outside(
    box: Box, shared: Path, short_path: Path, target: str
) -> None:
    canary = short_path / "canary"
    canary.mkdir()
    links = {
        "link": str(canary),
        "up": "../../../../../../../../../.." + str(canary),
        "etc/absolute": f"{canary}/file",
        "dangling": f"{canary}/not/there",
        "chain": "/link/../link",
    }
    for name, place in links.items():
        (box.diff / name).symlink_to(place)
    before = sorted(canary.rglob("*"))
    shown = box.sh(f"cat {target}/file", volumes=volume(shared, target))
    assert shown == "from the host\n"
    assert sorted(canary.rglob("*")) == before
    assert not os.path.ismount(canary)


@pytest.mark.parametrize("folder", ["proc", "sys"])
def test_kernel_folders_that_are_symlinks_are_refused(box: Box, folder: str) -> None:
    # CVE-2019-19921, CVE-2023-27561: an image aims the mount of /proc at another place
    (box.diff / folder).symlink_to("/tmp")
    report = box.run("true")
    assert report.error == "UsageError"
    assert f"/{folder}" in report.message


def test_nothing_is_mounted_inside_proc(box: Box, shared: Path) -> None:
    (box.diff / "sneaky").symlink_to("/proc/self/attr")
    for target in ("/proc/self/environ", "/proc/sys/kernel/hostname", "/sneaky/current"):
        report = box.run("true", volumes=volume(shared / "file", target))
        assert report.error == "UsageError", target


def test_endless_symlinks_are_refused(box: Box, shared: Path) -> None:
    (box.diff / "a").symlink_to("b")
    (box.diff / "b").symlink_to("a")
    report = box.run("true", volumes=volume(shared, "/a/x"))
    assert report.error == "UsageError"
    assert "/a/x" in report.message
