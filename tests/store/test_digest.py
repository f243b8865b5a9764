"""Bytes that are checked as they pass."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydock_engine import errors
from pydock_engine.store import digest
from pydock_engine.store.digest import VerifiedReader, VerifiedWriter

DATA = bytes(range(256)) * 40
RIGHT = digest.of(DATA)


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "sha256:" + "g" * 64, "sha256:" + "a" * 63, "SHA256:" + "a" * 64, "a" * 64,
     "md5:" + "a" * 32, "sha256:" + "a" * 64 + "\n", "sha256:../../../" + "a" * 55,
     "sha512:" + "a" * 64, "blake3:" + "a" * 64],
)  # fmt: skip
def test_what_cannot_be_checked_is_no_digest(text: str) -> None:
    assert not digest.is_valid(text)
    with pytest.raises(errors.IntegrityError):
        digest.check(text)


def test_sha512_is_checked_too() -> None:
    name = "sha512:" + hashlib.sha512(DATA).hexdigest()
    assert VerifiedReader(io.BytesIO(DATA), name, len(DATA)).read() == DATA


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=20))
def test_right_bytes_pass_in_any_portions(amounts: list[int]) -> None:
    reader = VerifiedReader(io.BytesIO(DATA), RIGHT, len(DATA))
    parts = [reader.read(amount) for amount in amounts]
    parts.append(reader.read())
    assert b"".join(parts) == DATA


@pytest.mark.parametrize("amount", [1, 100, len(DATA), len(DATA) * 2, -1])
@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (DATA[:-1], "ended after"),
        (DATA + b"x", "is longer than"),
        (DATA[:-1] + b"x", "does not match its digest"),
        (b"", "ended after 0"),
    ],
)
def test_wrong_bytes_never_reach_their_end(data: bytes, complaint: str, amount: int) -> None:
    reader = VerifiedReader(io.BytesIO(data), RIGHT, len(DATA))

    def read_all() -> None:
        while reader.read(amount):
            pass

    with pytest.raises(errors.IntegrityError, match=complaint):
        read_all()


def test_a_reader_takes_at_most_one_byte_too_many() -> None:
    source = io.BytesIO(DATA + bytes(10_000))
    with pytest.raises(errors.IntegrityError):
        VerifiedReader(source, RIGHT, len(DATA)).read()
    assert source.tell() <= len(DATA) + 1


def test_a_writer_writes_no_byte_beyond_the_size() -> None:
    sink = io.BytesIO()
    writer = VerifiedWriter(sink, RIGHT, len(DATA))
    writer.write(DATA)
    writer.finish()
    with pytest.raises(errors.IntegrityError, match="is longer"):
        writer.write(b"x")
    assert sink.getvalue() == DATA


def test_an_empty_blob_is_a_blob() -> None:
    reader = VerifiedReader(io.BytesIO(b""), digest.of(b""), 0)
    assert reader.read() == b""


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(errors.IntegrityError, match="impossible size"):
        VerifiedReader(io.BytesIO(b""), RIGHT, -1)
