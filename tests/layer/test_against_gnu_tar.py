"""Layers compared with what GNU tar makes of the same bytes."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydock_engine.layer.pack import Item, pack
from pydock_engine.layer.remove import remove_tree
from pydock_engine.layer.tarheader import DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK
from pydock_engine.layer.unpack import unpack_layer
from pydock_engine.protocol.messages import UnpackLayer

from tests.layer.conftest import digest_of, no_report

AS_ROOT = os.geteuid() == 0
pytestmark = [pytest.mark.root, pytest.mark.userns]

LEVEL = "root" if AS_ROOT else "rootless-single"
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
MODERATE = settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

names = st.one_of(
    st.sampled_from(["a", "b", "c.txt", "ä", "\udcff\udce9", "with space", "-x", "new\nline"]),
    st.integers(90, 200).map(lambda length: "n" * length),
)
modes = st.sampled_from([0o644, 0o600, 0o755, 0o4755, 0o2711, 0o1777, 0o444, 0o700])
ids = st.sampled_from([0, 0, 1000, 65534, 70000, 3_000_000]) if AS_ROOT else st.just(0)


@dataclass(frozen=True)
class Archive:
    data: bytes

    def __repr__(self) -> str:
        with tarfile.open(fileobj=io.BytesIO(self.data), errors="surrogateescape") as tar:
            return repr([(i.name, i.type, oct(i.mode), i.linkname, i.size) for i in tar])


@st.composite
def archives(draw: st.DrawFn) -> Archive:
    """Tars that mean the same to everybody: no name twice, parents are folders if given at all."""
    layout: dict[str, tarfile.TarInfo] = {}
    contents: dict[str, bytes] = {}
    folders, files = [""], []
    for _ in range(draw(st.integers(0, 12))):
        name = draw(st.sampled_from(folders)) + draw(names)
        if name in layout or len(os.fsencode(name)) > 230:
            continue
        info = tarfile.TarInfo(name)
        info.mode, info.uid, info.gid = draw(modes), draw(ids), draw(ids)
        info.mtime = draw(st.integers(0, 2**33 - 1))
        kinds = [REGULAR, REGULAR, DIRECTORY, SYMLINK, FIFO] + ([HARD_LINK] if files else [])
        info.type = draw(st.sampled_from(kinds))
        if info.type == REGULAR:
            contents[name] = draw(st.binary(max_size=1500))
            info.size = len(contents[name])
            files.append(name)
        elif info.type == DIRECTORY:
            info.mode |= 0o700
            folders.append(name + "/")
        elif info.type == SYMLINK:
            info.linkname = draw(st.sampled_from(["a", "../x", "/etc/passwd", "ü/" * 20]))
        elif info.type == HARD_LINK:
            info.linkname = draw(st.sampled_from(files))
        layout[name] = info
    if draw(st.booleans()):  # leave some folders to be implied
        layout = {n: i for n, i in layout.items() if i.type != DIRECTORY or draw(st.booleans())}
    buffer = io.BytesIO()
    format_ = draw(st.sampled_from(FORMATS))
    with tarfile.open(fileobj=buffer, mode="w", format=format_, errors="surrogateescape") as tar:
        written = set()
        for name, info in layout.items():
            if info.type == HARD_LINK and info.linkname not in written:
                continue
            try:
                tar.addfile(info, io.BytesIO(contents.get(name, b"")))
            except ValueError:  # too long, or too large a number, for ustar
                continue
            written.add(name)
    return Archive(buffer.getvalue())


@pytest.fixture
def place() -> Iterator[Path]:
    """Not tmp_path: its name would leave no room for long ones."""
    folder = Path(tempfile.mkdtemp(prefix="pydock-tar-"))
    yield folder
    remove_tree(folder)


def listing(root: Path, implied: set[bytes]) -> dict[bytes, object]:
    """What is in a tree; hard links by the first of their names."""
    found: dict[bytes, object] = {}
    inodes: dict[int, bytes] = {}
    for folder, _, _ in sorted(os.walk(os.fsencode(root))):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, os.fsencode(root))
            status = os.lstat(path)
            what: list[object] = [stat.S_IFMT(status.st_mode), status.st_uid, status.st_gid]
            if stat.S_ISREG(status.st_mode):
                what.append(Path(os.fsdecode(path)).read_bytes())
                what.append(inodes.setdefault(status.st_ino, relative))
            if stat.S_ISLNK(status.st_mode):
                what.append(os.readlink(path))
            else:
                what.append(oct(status.st_mode))
            if relative not in implied:
                what.append(status.st_mtime_ns)
            found[relative] = what
    return found


def implied_by(data: bytes) -> set[bytes]:
    """Folders no entry speaks of: their times are whatever the clock says."""
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        given = {os.fsencode(info.name) for info in tar}
    parents = {name[:at] for name in given for at in range(len(name)) if name[at : at + 1] == b"/"}
    return parents - given


def ours(data: bytes, place: Path) -> Path:
    (place / "blob").write_bytes(data)
    request = UnpackLayer(
        media_type="",
        diff_id=digest_of(data),
        target=str(place / "layer"),
        blob=str(place / "blob"),
    )
    unpack_layer(request, None, no_report, level=LEVEL)
    return place / "layer" / "diff"


def theirs(data: bytes, place: Path) -> Path:
    (place / "gnu").mkdir()
    command = ["tar", "-x", "-p", "--numeric-owner", "--delay-directory-restore", "-f", "-"]
    command += ["--warning=no-timestamp", "--warning=no-unknown-keyword"]
    subprocess.run(command, input=data, cwd=place / "gnu", check=True, umask=0o022)
    return place / "gnu"


@MODERATE
@given(archive=archives())
def test_same_tree_as_gnu_tar(archive: Archive) -> None:
    data = archive.data
    place = Path(tempfile.mkdtemp(prefix="pydock-tar-"))
    try:
        implied = implied_by(data)
        assert listing(ours(data, place), implied) == listing(theirs(data, place), implied)
    finally:
        remove_tree(place)


@pytest.mark.parametrize("format_", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_tars_gnu_tar_writes(place: Path, format_: str) -> None:
    source = place / "source"
    (source / "folder" / ("d" * 60)).mkdir(parents=True)
    (source / "folder" / ("d" * 60) / "file").write_bytes(b"x" * 70_000)
    (source / "link").symlink_to("folder")
    (source / "hard").write_text("one file")
    os.link(source / "hard", source / "hard2")
    os.mkfifo(source / "fifo")
    if format_ not in ("v7", "ustar"):
        (source / ("long" * 60)).write_text("x")
    if format_ == "v7":
        (source / "fifo").unlink()
    data = subprocess.run(
        ["tar", "-c", f"--format={format_}", "--numeric-owner", "-C", source, "."],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    expected = listing(theirs(data, place), set())
    assert listing(ours(data, place), set()) == expected


@pytest.mark.parametrize("version", ["oldgnu", "0.0", "0.1", "1.0"])
@pytest.mark.parametrize("holes", [1, 30])
def test_sparse_files_keep_their_content_and_their_holes(
    place: Path, version: str, holes: int
) -> None:
    source = place / "sparse"
    with source.open("wb") as file:
        for number in range(holes):
            file.seek((number * 4 + 3) << 20)
            file.write(os.urandom(5000))
        file.truncate(holes << 22)
    form = ["--format=oldgnu"] if version == "oldgnu" else ["--format=posix"]
    form += [] if version == "oldgnu" else [f"--sparse-version={version}"]
    data = subprocess.run(
        ["tar", "-c", "-S", *form, "-C", place, "sparse"], check=True, stdout=subprocess.PIPE
    ).stdout
    assert len(data) < holes << 20, "GNU tar saw no holes"
    made = ours(data, place) / "sparse"
    assert made.read_bytes() == source.read_bytes()
    assert made.stat().st_blocks * 512 < holes << 20
    assert made.stat().st_size == holes << 22


@pytest.mark.parametrize("compress", [False, True])
def test_packed_layers_are_read_by_gnu_tar_and_by_us(place: Path, compress: bool) -> None:
    (place / "on-disk").write_bytes(os.urandom(100_000))
    items = [
        Item(b"folder", DIRECTORY, 0o750, mtime_s=5),
        Item(b"folder/" + b"n" * 200, content=b"long", mtime_s=(1 << 33) + 5),
        Item(b"caf\xe9", content=b"not utf-8"),
        Item(b"copy", source=os.fsencode(place / "on-disk"), mode=0o755, mtime_s=7),
        Item(b"link", SYMLINK, 0o777, link=b"t" * 150),
        Item(b"a-hard-link", HARD_LINK, link=b"copy", mode=0o755, mtime_s=7),
        Item(b"noted", xattrs={b"user.note": b"\xff\x00\n"}),
    ]
    first, again = io.BytesIO(), io.BytesIO()
    packed = pack(items, first, compress=compress)
    assert pack(items[::-1], again, compress=compress) == packed
    assert first.getvalue() == again.getvalue()
    assert packed.digest == digest_of(first.getvalue())
    assert packed.size == len(first.getvalue())
    assert (packed.entries, packed.unreadable) == (7, 0)
    (place / "packed").write_bytes(first.getvalue())
    request = UnpackLayer(
        media_type=packed.media_type,
        diff_id=packed.diff_id,
        target=str(place / "layer"),
        blob=str(place / "packed"),
    )
    unpack_layer(request, None, no_report, level=LEVEL)
    assert os.getxattr(place / "layer/diff/noted", "user.note") == b"\xff\x00\n"
    (place / "gnu").mkdir()
    subprocess.run(["tar", "-xpf", place / "packed", "-C", place / "gnu"], check=True)
    made = listing(place / "layer/diff", set())
    assert made == listing(place / "gnu", set())
    assert set(made) == {item.name for item in items}
    assert os.readlink(place / "layer/diff/link") == "t" * 150
    assert (place / "layer/diff/folder" / ("n" * 200)).stat().st_mtime == (1 << 33) + 5


def test_unreadable_source_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    items = [
        Item(b"gone", source=b"/nonexistent/x"),
        Item(b"l", source=os.fsencode(tmp_path / "link")),
    ]
    packed = pack(items, io.BytesIO())
    assert (packed.entries, packed.unreadable) == (0, 2)
