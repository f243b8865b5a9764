"""Whatever bytes come: an error of our own or a layer, and nothing outside of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydock_engine.errors import IntegrityError, LayerError
from pydock_engine.layer.remove import remove_tree
from pydock_engine.layer.unpack import unpack_layer
from pydock_engine.protocol.messages import UnpackLayer

from tests.layer.conftest import digest_of, no_report, state_of
from tests.layer.rawtar import END, gnu_long, header, padded, pax, record
from tests.support.images import entry, folder, symlink, tar, whiteout

pytestmark = [pytest.mark.root, pytest.mark.userns]

LEVEL = "root" if os.geteuid() == 0 else "rootless-single"

PARTS = "a b way .. . canary secret .wh.a .wh.way .wh.secret .wh..wh..opq .wh. .wh..wh.x diff layer"
KEYS = """path linkpath size uid mtime SCHILY.xattr.user.x SCHILY.xattr.trusted.overlay.redirect
GNU.sparse.map GNU.sparse.realsize GNU.sparse.name GNU.sparse.major GNU.sparse.offset
GNU.sparse.numbytes"""
parts = st.sampled_from([b"", b"\xff", *PARTS.encode().split()])
paths = st.lists(parts, min_size=1, max_size=4).map(b"/".join)
kinds = st.sampled_from([bytes([kind]) for kind in b"01225563S7?\0"])
keys = st.sampled_from(KEYS.encode().split())
numbers = st.sampled_from([b"0", b"1", b"0,3", b"-1", b"99999999999999999999", b""])
records = st.builds(record, keys, paths | numbers)


@st.composite
def members(draw: st.DrawFn) -> bytes:
    kind, name, link = draw(kinds), draw(paths), draw(paths)
    data = draw(st.sampled_from([b"", b"new", b"1\n0\n3\n", b"x" * 600]))
    before = b""
    if draw(st.integers(0, 4)) == 0:
        before = pax(b"".join(draw(st.lists(records, min_size=1, max_size=3))))
    if draw(st.integers(0, 9)) == 0:
        before += gnu_long(draw(paths), draw(st.sampled_from([b"L", b"K"])))
    size = len(data) if kind in b"0\x007S" else 0
    tail = draw(st.sampled_from([b"", b"\0" * 57 + b"00000000000\x0000000000003\0"]))
    return before + header(name, kind, link=link, size=size, tail=tail) + padded(data[:size])


def check(data: bytes) -> None:
    """Unpacks `data` beside a canary; anything but LayerError and IntegrityError is a bug."""
    place = Path(tempfile.mkdtemp(prefix="pydock-fuzz-"))
    try:
        (place / "canary").mkdir()
        (place / "canary" / "secret").write_text("untouched")
        (place / "blob").write_bytes(data)
        before = state_of(place / "canary")
        request = UnpackLayer(
            media_type="",
            diff_id=digest_of(data),
            target=str(place / "layer"),
            blob=str(place / "blob"),
        )
        try:
            unpack_layer(request, None, no_report, level=LEVEL)
        except (LayerError, IntegrityError):
            assert not (place / "layer").exists()
        assert state_of(place / "canary") == before
        assert set(os.listdir(place)) <= {"canary", "blob", "layer"}
    finally:
        remove_tree(place)


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(members(), min_size=1, max_size=8))
def test_entries_that_mean_harm(entries: list[bytes]) -> None:
    links = [header(b"way", b"2", link=b"../../canary"), header(b"b", b"2", link=b"/")]
    check(b"".join([*links, *entries, END]))


HONEST = tar(
    [
        folder("a"),
        entry("a/" + "n" * 150, data=b"x" * 700),
        symlink("way", "../../canary"),
        whiteout("gone"),
        entry("way2", pax_headers={"SCHILY.xattr.user.x": "y"}),
    ]
)


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, len(HONEST) - 1), st.integers(0, 255)), max_size=4))
def test_flipped_bytes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(HONEST)
    for at, value in changes:
        data[at] = value
        block = at - at % 512
        if bytes(data[block + 257 : block + 262]) == b"ustar":  # so that more than the sum is read
            data[block + 148 : block + 156] = b" " * 8
            data[block + 148 : block + 156] = b"%06o\0 " % sum(data[block : block + 512])
    check(bytes(data))
