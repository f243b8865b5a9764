"""Layers that mean harm: nothing outside is ever touched, and most are refused.

The fixture `unpack` looks after a canary beside the layer, after every call.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from pydock_engine.errors import DiskFull, LayerError
from pydock_engine.layer.limits import Limits
from pydock_engine.layer.unpack import unpack_layer
from pydock_engine.protocol.messages import UnpackLayer

from tests.layer.conftest import Unpack, digest_of, no_report
from tests.layer.rawtar import END, file, gnu_long, header, pax, record
from tests.support.images import entry, folder, symlink, tar, whiteout

# -- ways out ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../canary/secret", "a/../../canary/secret", "./../../x", "..", "a/../.."]
)
def test_names_that_climb_out_are_refused(unpack: Unpack, name: str) -> None:
    for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE):
        with pytest.raises(LayerError, match="leaves the layer"):
            unpack([entry(name, kind, linkname="x")])
    with pytest.raises(LayerError, match="leaves the layer"):
        unpack([entry("x", data=b"1"), entry("l", tarfile.LNKTYPE, linkname=name)])


def test_whiteouts_that_climb_out_are_refused(unpack: Unpack) -> None:
    for name in ("../canary/.wh.secret", "../canary/.wh..wh..opq"):
        with pytest.raises(LayerError):
            unpack([entry(name)])


def test_absolute_names_stay_inside(unpack: Unpack, canary: Path) -> None:
    name = f"{canary}/secret"
    layer = unpack([entry(name, data=b"mine"), entry("//etc//passwd", data=b"x")])
    assert (layer.diff / name.lstrip("/")).read_bytes() == b"mine"
    assert (layer.diff / "etc/passwd").read_bytes() == b"x"


def test_dots_inside_a_name_are_resolved_by_name(unpack: Unpack) -> None:
    layer = unpack([symlink("a", "elsewhere"), entry("./a/./../b", data=b"x")])
    assert sorted(os.listdir(layer.diff)) == ["a", "b"]


@pytest.mark.parametrize("up", ["..", "../..", "../../../../.."])
def test_symlink_as_a_parent_is_followed_inside_only(unpack: Unpack, canary: Path, up: str) -> None:
    targets = [f"{up}/canary", str(canary), f"{up}{canary}", "/proc/self/cwd", "/proc/self/root"]
    for target in targets:
        for through in (
            entry("way/secret", data=b"overwritten"),
            whiteout("way/secret"),
            entry("way/.wh..wh..opq"),
            symlink("way/secret", "x"),
        ):
            with pytest.raises(LayerError, match="parent is not a folder"):
                unpack([symlink("way", target), through])  # nothing inside has that path
            inside = target.replace("..", "").strip("/")
            layer = unpack([folder(inside), symlink("way", target), through])
            assert (layer.diff / "way").is_symlink()


def test_symlink_to_a_folder_of_the_layer_is_a_fine_parent(unpack: Unpack) -> None:
    layer = unpack([folder("usr/bin"), symlink("bin", "/usr/bin"), entry("bin/sh", data=b"x")])
    assert (layer.diff / "usr/bin/sh").read_bytes() == b"x"
    assert (layer.diff / "bin").is_symlink()


def test_symlink_loop_as_a_parent_is_refused(unpack: Unpack) -> None:
    with pytest.raises(LayerError):
        unpack([symlink("a", "b"), symlink("b", "a"), entry("a/f")])


def test_file_as_a_parent_is_refused(unpack: Unpack) -> None:
    with pytest.raises(LayerError, match="parent is not a folder: a"):
        unpack([entry("a"), entry("a/b")])


def test_folder_replaced_by_a_link_is_not_written_through(unpack: Unpack, canary: Path) -> None:
    """The descriptor of the old folder must not be used any more, either."""
    for target in ("../../canary", str(canary)):
        with pytest.raises(LayerError):
            unpack([folder("d"), entry("d/a"), symlink("d", target), entry("d/secret")])
    layer = unpack([folder("d"), entry("d/a"), folder("e"), symlink("d", "e"), entry("d/b")])
    assert os.listdir(layer.diff / "e") == ["b"]


def test_file_is_never_written_through_a_link(unpack: Unpack, canary: Path) -> None:
    layer = unpack([symlink("f", str(canary / "secret")), entry("f", data=b"overwritten")])
    assert (layer.diff / "f").read_bytes() == b"overwritten"
    assert not (layer.diff / "f").is_symlink()


def test_metadata_is_never_given_through_a_link(unpack: Unpack, canary: Path) -> None:
    target = str(canary)
    layer = unpack([symlink("d", target), folder("d", 0o777), symlink("e", target)])
    assert (layer.diff / "d").is_dir()
    layer = unpack([folder("d", 0o777), symlink("d", target)])
    assert (layer.diff / "d").is_symlink()


@pytest.mark.parametrize(
    "target", ["/etc/shadow", "../canary/secret", "way/secret", "etc/shadow", ".", "", "d"]
)
def test_hard_link_out_of_the_layer_is_refused(unpack: Unpack, canary: Path, target: str) -> None:
    members = [symlink("way", str(canary)), folder("d")]
    with pytest.raises(LayerError):
        unpack([*members, entry("link", tarfile.LNKTYPE, linkname=target)])


def test_hard_link_to_a_whiteout_is_refused(unpack: Unpack) -> None:
    with pytest.raises(LayerError, match="hard link to nothing"):
        unpack([whiteout("gone"), entry("link", tarfile.LNKTYPE, linkname="gone")])


def test_hard_link_to_a_symlink_links_the_symlink(unpack: Unpack, canary: Path) -> None:
    members = [
        symlink("way", str(canary / "secret")),
        entry("link", tarfile.LNKTYPE, linkname="way"),
        entry("link", data=b"replaced"),
    ]
    layer = unpack(members)
    assert (layer.diff / "link").read_bytes() == b"replaced"
    assert (layer.diff / "way").is_symlink()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_need_root(unpack: Unpack, kind: bytes) -> None:
    for level in ("rootless", "rootless-single"):
        layer = unpack([entry("dev", kind, devmajor=8, devminor=1)], level=level)
        assert os.listdir(layer.diff) == []
        assert layer.record.skipped_devices == 1


def test_root_of_the_layer_stays_a_folder(unpack: Unpack) -> None:
    for kind in (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        with pytest.raises(LayerError):
            unpack([entry("x"), entry(".", kind, linkname="x")])


# -- numbers and lengths -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"size": b"\xff" * 12},  # -1 in base 256
        {"size": b"\x80" + b"\xff" * 11},
        {"size": b"\x80\0\0\0\x7f" + b"\xff" * 7},
        {"size": b"99999999999\0"},  # no octal digits
        {"size": b"-1\0"},
        {"size": b"0o17\0"},
        {"size": b"1_0\0"},
        {"size": 0o77777777777},  # 8 GiB that are not there
        {"uid": b"\xff" * 8},
        {"gid": b"\x80\0\0\0\xff\xff\xff\xff"},  # (gid_t)-1
        {"mode": b"rw-r--r-"},
        {"checksum": b"000000\0 "},
        {"checksum": b"\xff" * 8},
    ],
)
def test_impossible_numbers_are_refused(unpack: Unpack, fields: dict[str, bytes]) -> None:
    with pytest.raises(LayerError):
        unpack(header(b"f", **fields) + END)  # type: ignore[arg-type]


def test_signed_checksums_of_old_tars_are_accepted(unpack: Unpack) -> None:
    name = b"caf\xe9"
    plain = bytearray(header(name))
    plain[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in plain)
    layer = unpack(header(name, checksum=b"%06o\0 " % signed) + END)
    assert os.listdir(os.fsencode(layer.diff)) == [name]


def test_times_far_from_now_are_clamped_not_fatal(unpack: Unpack) -> None:
    for mtime in (b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7, b"\xff" * 12):
        unpack(header(b"f", mtime=mtime) + END)
    unpack(pax(record(b"mtime", b"-99999999999.5")) + header(b"f") + END)


@pytest.mark.parametrize(
    "data",
    [
        b"5 a=b\n",  # too short for what follows
        b"99 path=x\n",
        b"0 path=x\n",
        b"-9 path=x\n",
        b"99999999999999999999 path=x\n",
        b"9path=xy\n",
        b"10 path=xy",
        b"9 pathxy\n",
        b"6 =xy\n",
        b"\xff\xfe\n",
        record(b"size", b"-1"),
        record(b"size", b"1e9"),
        record(b"size", b"9" * 19),
        record(b"size", b"9" * 5000),
        record(b"uid", b"4294967295"),
        record(b"mtime", b"now"),
        record(b"mtime", b"1.2.3"),
        record(b"path", b"a\0b"),
        record(b"linkpath", b"a\0b"),
        record(b"path", b"../canary/secret"),
        record(b"GNU.sparse.map", b"0,1,2"),
        record(b"GNU.sparse.realsize", b"10") + record(b"GNU.sparse.map", b"0,20"),
        record(b"GNU.sparse.realsize", b"10") + record(b"GNU.sparse.map", b"5,1,0,1"),
        record(b"GNU.sparse.realsize", b"9" * 18) + record(b"GNU.sparse.map", b""),
        record(b"GNU.sparse.offset", b"1") + record(b"GNU.sparse.offset", b"1"),
        record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.realsize", b"10"),
    ],
)
def test_malformed_pax_headers_are_refused(unpack: Unpack, data: bytes) -> None:
    broken = pax(data) + file(b"f", b"x" * 3) + END
    if data == record(b"GNU.sparse.map", b"0,1,2"):  # without a size nobody reads the map
        unpack(broken)
        return
    with pytest.raises(LayerError):
        unpack(broken)


def test_oversized_special_headers_are_refused_before_they_are_read(unpack: Unpack) -> None:
    for kind in (b"x", b"g", b"L", b"K"):
        with pytest.raises(LayerError, match="too large"):
            unpack(header(b"x", kind, size=1 << 30) + END)


def test_headers_that_describe_nothing_are_refused(unpack: Unpack) -> None:
    for special in (pax(record(b"path", b"x")), gnu_long(b"name")):
        for end in (END, b""):
            with pytest.raises(LayerError, match="truncated"):
                unpack(special + end)


def test_unknown_kinds_are_refused(unpack: Unpack) -> None:
    for kind in (b"V", b"M", b"D", b"X", b"\xff"):
        with pytest.raises(LayerError, match="unknown kind"):
            unpack(header(b"f", kind) + END)


def test_names_longer_than_the_kernel_takes_are_refused(unpack: Unpack) -> None:
    for name in (b"n" * 256, b"d/" * 2048 + b"f", b"a" * 60_000):
        with pytest.raises(LayerError, match="too long"):
            unpack(gnu_long(name) + header(b"f") + END)
        with pytest.raises(LayerError, match="too long"):
            unpack(pax(record(b"path", name)) + header(b"f") + END)


def test_truncated_at_every_block_is_refused(unpack: Unpack) -> None:
    data = tar([entry("a" * 150, data=b"x" * 1200), entry("b", data=b"y" * 600)])
    end = len(data.rstrip(b"\0"))
    for cut in range(100, end, 100):
        if cut % 512 == 0:
            continue  # between blocks of headers and data a shorter tar may be a whole one
        with pytest.raises(LayerError):
            unpack(data[:cut])


def test_error_names_the_entry_on_one_printable_line(unpack: Unpack) -> None:
    with pytest.raises(LayerError) as caught:
        unpack([entry("bad\n\x1b[31mname"), entry("bad\n\x1b[31mname/f")])
    assert str(caught.value).isprintable()
    assert r"bad\n\x1b[31mname" in str(caught.value)


# -- too much ------------------------------------------------------------------------------------


def test_bomb_is_stopped_at_the_limit_and_needs_no_memory(unpack: Unpack) -> None:
    zeros = 200 << 20
    layer = header(b"f", size=zeros)
    compressor = zstandard.ZstdCompressor().compressobj()
    blob = compressor.compress(layer)
    chunk = bytes(1 << 20)
    for _ in range(200):
        blob += compressor.compress(chunk)
    blob += compressor.flush()
    assert len(blob) < 100_000
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(LayerError, match="unpacks to more than"):
            unpack(b"", blob=blob, diff_id="sha256:0", limits=Limits(tar_bytes=64 << 20))
        assert tracemalloc.get_traced_memory()[1] - before < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_real_layer_may_be_larger_than_the_fixed_limit_if_its_blob_is(unpack: Unpack) -> None:
    unpack([entry("f", data=os.urandom(100_000))], limits=Limits(tar_bytes=1000))


def test_too_many_entries_are_refused_implied_folders_included(unpack: Unpack) -> None:
    with pytest.raises(LayerError, match="more than 50 entries"):
        unpack([entry(f"f{n}") for n in range(60)], limits=Limits(entries=50))
    with pytest.raises(LayerError, match="more than 50 entries"):
        unpack([entry("/".join("d" * 60) + f"/{n}") for n in range(2)], limits=Limits(entries=50))


@pytest.mark.slow
def test_nesting_through_links_cannot_go_beyond_removal(unpack: Unpack) -> None:
    """Each hop starts where a link leads, so that folders get deeper than any path is long."""
    members = []
    for hop in range(2):
        start = f"s{hop}/" if hop else ""
        deep = start + "/".join(["d"] * 1100)
        members += [entry(f"{deep}/f"), symlink(f"s{hop + 1}", f"{start}{'d/' * 1099}d")]
    layer = unpack(members)
    assert (layer.diff / "s1").is_symlink()


@pytest.mark.slow
def test_hundred_thousand_nested_folders(unpack: Unpack) -> None:
    data = b"".join(gnu_long(b"d/" * n) + header(b"d/", b"5") for n in range(1, 100_000, 997))
    with pytest.raises(LayerError, match="too long"):
        unpack(gzip.decompress(gzip.compress(data)) + END)


@pytest.mark.root
def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", disk], check=True)
    try:
        data = tar([entry(f"f{n}", data=os.urandom(1 << 20)) for n in range(60)])
        (tmp_path / "blob").write_bytes(data)
        request = UnpackLayer(
            media_type="",
            diff_id=digest_of(data),
            target=str(disk / "layer"),
            blob=str(tmp_path / "blob"),
        )
        with pytest.raises(DiskFull, match="no room left"):
            unpack_layer(request, None, no_report)
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", disk], check=True)
