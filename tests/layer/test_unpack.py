"""What an unpacked layer looks like on disk."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard
from pydock_engine.errors import IntegrityError, LayerError

from tests.layer.conftest import Unpack, digest_of
from tests.support.images import entry, folder, symlink, tar, whiteout

MTIME = 1_704_164_645


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def opaque(unpacked: object, name: str, level: str) -> bool:
    key = "trusted.overlay.opaque" if level == "root" else "user.overlay.opaque"
    return unpacked.xattr(name, key) == b"y"  # type: ignore[attr-defined]


# -- kinds and metadata --------------------------------------------------------------------------


def test_files_folders_and_links_get_content_mode_and_time(unpack: Unpack) -> None:
    layer = unpack(
        [
            folder("etc", 0o750),
            entry("etc/motd", data=b"hello\n", mode=0o640),
            symlink("etc/link", "/etc/motd"),
            entry("bin/su", data=b"#!", mode=0o4755),
            entry("fifo", tarfile.FIFOTYPE, mode=0o620),
        ]
    )
    assert (layer.diff / "etc/motd").read_bytes() == b"hello\n"
    assert stat.S_IMODE((layer.diff / "etc/motd").stat().st_mode) == 0o640
    assert stat.S_IMODE((layer.diff / "etc").stat().st_mode) == 0o750
    assert stat.S_IMODE((layer.diff / "bin/su").stat().st_mode) == 0o4755
    assert stat.S_ISFIFO((layer.diff / "fifo").stat().st_mode)
    assert os.readlink(layer.diff / "etc/link") == "/etc/motd"
    for name in ("etc", "etc/motd", "etc/link", "fifo"):
        assert (layer.diff / name).lstat().st_mtime == MTIME, name


def test_record_counts_files_bytes_and_implied_folders(unpack: Unpack) -> None:
    data = tar(
        [
            entry("a/b/one", data=b"1234"),
            entry("a/b/two", tarfile.LNKTYPE, linkname="a/b/one"),
            whiteout("a/gone"),
        ]
    )
    layer = unpack(data)
    record = layer.record
    assert (record.files, record.size_bytes, record.tar_bytes) == (3, 4, len(data))
    assert record.implied == ("", "a", "a/b")
    assert record.diff_id == digest_of(data)
    assert layer.answer["implied"] == [], "the answer must fit a message"
    assert layer.answer["files"] == 3


def test_hard_links_share_an_inode(unpack: Unpack) -> None:
    layer = unpack([entry("one", data=b"x"), entry("two", tarfile.LNKTYPE, linkname="./one")])
    assert (layer.diff / "one").stat().st_ino == (layer.diff / "two").stat().st_ino


def test_hard_link_to_itself_keeps_the_file(unpack: Unpack) -> None:
    layer = unpack([entry("one", data=b"x"), entry("one", tarfile.LNKTYPE, linkname="one")])
    assert (layer.diff / "one").read_bytes() == b"x"


def test_folder_metadata_survives_what_is_written_into_it_later(unpack: Unpack) -> None:
    layer = unpack([folder("d", 0o555), entry("d/f", data=b"x"), folder("d/e", 0o000)])
    assert (layer.diff / "d").stat().st_mtime == MTIME
    assert stat.S_IMODE((layer.diff / "d").stat().st_mode) == 0o555


def test_setgid_folder_spreads_nothing_to_its_content(unpack: Unpack) -> None:
    layer = unpack([folder("d", 0o2775, gid=0), folder("d/e", 0o755), entry("d/e/f")])
    assert stat.S_IMODE((layer.diff / "d").stat().st_mode) == 0o2775
    assert stat.S_IMODE((layer.diff / "d/e").stat().st_mode) == 0o755


def test_names_that_are_not_utf8_keep_their_bytes(unpack: Unpack) -> None:
    name = b"caf\xe9/\xff\xfe"
    layer = unpack([entry(os.fsdecode(name), data=b"x")])
    assert os.listdir(os.fsencode(layer.diff)) == [b"caf\xe9"]
    assert (layer.diff / os.fsdecode(name)).read_bytes() == b"x"
    assert layer.record.implied == ("", r"caf\xe9")


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_long_link_targets(unpack: Unpack, tmp_path: Path, format: int) -> None:
    name, target = "/".join(["d" * 90] * 8) + "/" + "n" * 250, "t" * 3000
    with tarfile.open(tmp_path / "long.tar", "w", format=format) as archive:
        archive.addfile(entry(name)[0])
        archive.addfile(symlink("link", target)[0])
    layer = unpack((tmp_path / "long.tar").read_bytes())
    assert (layer.diff / name).is_file()
    assert os.readlink(layer.diff / "link") == target


def test_user_xattrs_are_kept(unpack: Unpack) -> None:
    headers = {"SCHILY.xattr.user.note": "kept"}
    layer = unpack([entry("f", pax_headers=headers), folder("d", pax_headers=headers)])
    assert layer.xattr("f", "user.note") == b"kept"
    assert layer.xattr("d", "user.note") == b"kept"


@pytest.mark.parametrize(
    "key", ["trusted.overlay.redirect", "user.overlay.opaque", "user.pydock.owner"]
)
def test_xattrs_that_speak_to_overlayfs_or_to_us_are_left_out(unpack: Unpack, key: str) -> None:
    layer = unpack([folder("d", pax_headers={f"SCHILY.xattr.{key}": "/etc"})])
    assert layer.xattr("d", key) is None
    assert layer.record.skipped_xattrs == 1


@pytest.mark.root
def test_root_gives_owners_capabilities_and_devices(unpack: Unpack) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)  # v2: cap_net_bind_service
    headers = {"SCHILY.xattr.security.capability": os.fsdecode(capability)}
    layer = unpack(
        [
            entry("f", uid=1000, gid=50, mode=0o4711, pax_headers=headers),
            folder("d", uid=7, gid=8),
            symlink("l", "f", uid=9, gid=9),
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        ],
        level="root",
    )
    status = (layer.diff / "f").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1000, 50, 0o4711)
    assert layer.xattr("f", "security.capability") == capability
    assert ((layer.diff / "d").stat().st_uid, (layer.diff / "d").stat().st_gid) == (7, 8)
    assert (layer.diff / "l").lstat().st_uid == 9
    device = (layer.diff / "null").stat()
    assert stat.S_ISCHR(device.st_mode)
    assert device.st_rdev == os.makedev(1, 3)
    assert stat.S_IMODE(device.st_mode) == 0o666


def test_one_id_only_records_owners(unpack: Unpack) -> None:
    members = [entry("f", uid=1000, gid=50), symlink("l", "f", uid=9, gid=9), folder("d", gid=3)]
    layer = unpack(members, level="rootless-single")
    assert layer.xattr("f", "user.pydock.owner") == b"1000:50"
    assert layer.xattr("d", "user.pydock.owner") == b"0:3"
    assert layer.record.foreign_owners == 3
    assert (layer.diff / "f").stat().st_uid == os.geteuid()


def test_devices_are_skipped_and_counted_without_root(unpack: Unpack) -> None:
    members = [
        entry("sda", tarfile.BLKTYPE, devmajor=8),
        entry("link", tarfile.LNKTYPE, linkname="sda"),
        entry("sda2", data=b"was a device once"),
    ]
    layer = unpack(members, level="rootless")
    assert sorted(os.listdir(layer.diff)) == ["sda2"]
    assert layer.record.skipped_devices == 2


def test_file_in_the_place_of_a_skipped_device_can_be_linked_to(unpack: Unpack) -> None:
    members = [
        entry("x", tarfile.CHRTYPE, devmajor=1),
        entry("x", data=b"a file"),
        entry("link", tarfile.LNKTYPE, linkname="x"),
    ]
    layer = unpack(members, level="rootless")
    assert (layer.diff / "link").read_bytes() == b"a file"


# -- how it travels --------------------------------------------------------------------------------


def test_compression_is_told_by_the_bytes_not_by_the_media_type(unpack: Unpack) -> None:
    data = tar([entry("f", data=os.urandom(300_000))])
    half = len(data) // 2
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00note"
    for blob in (
        data,
        gzip.compress(data),
        gzip.compress(data[:half]) + gzip.compress(data[half:]),
        gzip.compress(data) + bytes(1000),
        zstandard.compress(data),
        skippable + zstandard.compress(data[:half]) + zstandard.compress(data[half:]),
    ):
        layer = unpack(data, blob=blob)
        assert (layer.diff / "f").stat().st_size == 300_000


def test_digest_covers_bytes_after_the_end_mark(unpack: Unpack) -> None:
    data = tar([entry("f")]) + b"and some more" * 1000
    assert unpack(data).record.tar_bytes == len(data)
    with pytest.raises(IntegrityError):
        unpack(data, diff_id=digest_of(data[:-1]))


@pytest.mark.parametrize("cut", [1, 9, 1000, 100_000])
def test_truncated_input_is_refused(unpack: Unpack, cut: int) -> None:
    data = tar([entry("f", data=os.urandom(300_000))])
    for blob in (gzip.compress(data)[:-cut], zstandard.compress(data)[:-cut]):
        with pytest.raises((LayerError, IntegrityError)):
            unpack(data, blob=blob)


def test_damaged_and_trailing_input_is_refused(unpack: Unpack) -> None:
    data = tar([entry("f", data=os.urandom(300_000))])
    whole = gzip.compress(data)
    flipped = whole[:1000] + bytes([whole[1000] ^ 255]) + whole[1001:]
    for blob in (flipped, whole + b"more", whole + bytes(9) + b"x", data[:2000]):
        with pytest.raises((LayerError, IntegrityError)):
            unpack(data, blob=blob)


# -- whiteouts -------------------------------------------------------------------------------------


def test_whiteout_becomes_a_device_and_opaque_an_attribute(unpack: Unpack, level: str) -> None:
    layer = unpack([whiteout("etc/motd"), folder("var"), entry("var/.wh..wh..opq")])
    assert is_whiteout(layer.diff / "etc/motd")
    assert opaque(layer, "var", level)
    assert os.listdir(layer.diff / "var") == []
    assert layer.record.files == 3


@pytest.mark.parametrize("order", [1, -1])
def test_whiteout_never_hides_what_the_same_layer_brings(
    unpack: Unpack, level: str, order: int
) -> None:
    layer = unpack([entry("f", data=b"new"), whiteout("f")][::order])
    assert (layer.diff / "f").read_bytes() == b"new"
    layer = unpack([folder("d", 0o700), whiteout("d")][::order])
    assert opaque(layer, "d", level)
    layer = unpack([entry("d/inside"), whiteout("d")][::order])
    assert opaque(layer, "d", level)
    assert (layer.diff / "d/inside").is_file()


def test_opaque_marker_may_come_after_the_content(unpack: Unpack, level: str) -> None:
    layer = unpack([folder("d"), entry("d/f"), entry("d/.wh..wh..opq")])
    assert opaque(layer, "d", level)
    assert (layer.diff / "d/f").is_file()


@pytest.mark.parametrize(
    "name", [".wh.", ".wh..", ".wh...", "a/.wh.", ".wh..wh.other", ".wh.dir/file"]
)
def test_bad_whiteout_names_are_refused(unpack: Unpack, name: str) -> None:
    with pytest.raises(LayerError, match="whiteout"):
        unpack([entry(name)])


def test_aufs_leftovers_are_ignored(unpack: Unpack) -> None:
    layer = unpack([folder(".wh..wh.plnk"), entry(".wh..wh.plnk/1.2"), entry("f")])
    assert os.listdir(layer.diff) == ["f"]


# -- duplicates ------------------------------------------------------------------------------------


def test_later_entry_replaces_an_earlier_one_of_any_kind(unpack: Unpack) -> None:
    kinds = {
        "file": [entry("x", data=b"file")],
        "link": [symlink("x", "elsewhere")],
        "folder": [folder("x"), entry("x/inside", data=b"deep")],
        "fifo": [entry("x", tarfile.FIFOTYPE)],
        "hard link": [entry("y", data=b"y"), entry("x", tarfile.LNKTYPE, linkname="y")],
    }
    for first, before in kinds.items():
        for second, after in kinds.items():
            layer = unpack([*before, *after])
            mode = (layer.diff / "x").lstat().st_mode
            told = stat.S_ISREG(mode), stat.S_ISLNK(mode), stat.S_ISDIR(mode), stat.S_ISFIFO(mode)
            wanted = {"file": 0, "hard link": 0, "link": 1, "folder": 2, "fifo": 3}[second]
            assert told[wanted], f"{second} after {first}"


def test_folder_twice_merges_and_the_last_metadata_wins(unpack: Unpack) -> None:
    layer = unpack([folder("d", 0o700), entry("d/f"), folder("d", 0o711)])
    assert stat.S_IMODE((layer.diff / "d").stat().st_mode) == 0o711
    assert (layer.diff / "d/f").is_file()


def test_replaced_folder_leaves_its_metadata_to_nobody(unpack: Unpack) -> None:
    layer = unpack(
        [folder("a"), folder("a/b", 0o700), folder("c"), folder("c/b", 0o755), symlink("a", "c")]
    )
    assert os.readlink(layer.diff / "a") == "c"
    assert stat.S_IMODE((layer.diff / "c/b").stat().st_mode) == 0o755


def test_size_counts_a_replaced_file_once(unpack: Unpack) -> None:
    assert unpack([entry("f", data=b"12345"), entry("f", data=b"123")]).record.size_bytes == 3


def test_modes_that_lock_everybody_out_are_given_last(unpack: Unpack) -> None:
    layer = unpack([folder(".", 0o300), folder("d", 0), folder("d/e", 0), entry("d/e/f", mode=0)])
    os.chmod(layer.diff, 0o700)
    assert stat.S_IMODE((layer.diff / "d").stat().st_mode) == 0
    os.chmod(layer.diff / "d", 0o700)
    assert stat.S_IMODE((layer.diff / "d/e").stat().st_mode) == 0
    assert (layer.diff / "d/e").stat().st_mtime == MTIME
