"""PAX extended headers, and the maps of sparse files that hide in them.

Source: POSIX.1-2017 pax, "pax Extended Header"; GNU tar manual, "Storing Sparse Files".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import LayerError
from .tarheader import WITHOUT_DATA, Entry, Region, check_id, check_size, clamp_time_s

MAX_RECORDS_BYTES: Final = 1024 * 1024
"""Largest extended header that is read into memory."""
MAX_REGIONS: Final = 1 << 18
"""Most regions of one sparse file."""

_XATTR: Final = b"SCHILY.xattr."
_OFFSET: Final = b"GNU.sparse.offset"
_LENGTH: Final = b"GNU.sparse.numbytes"

Records = dict[bytes, bytes]


def parse_records(data: bytes) -> Records:
    """The records `LENGTH KEY=VALUE\\n` of one extended header; an empty value deletes a key.

    Format 0.0 of sparse files repeats its two keys for each region; they come back joined as
    one `GNU.sparse.map`, which is how format 0.1 writes the same.

    Raises
    ------
    LayerError
        A length that is none, that does not end at a line end, or a record without `=`.
    """
    records: Records = {}
    pairs: list[bytes] = []
    for key, value in _split_records(data):
        if key in (_OFFSET, _LENGTH):
            if (key == _OFFSET) != (len(pairs) % 2 == 0):
                raise LayerError("a sparse file's map in a PAX header is malformed")
            pairs.append(value)
        else:
            records[key] = value
    if pairs:
        records[b"GNU.sparse.map"] = b",".join(pairs)
    return records


def _split_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(data):
        if data[position] == 0 and not data[position:].strip(b"\0"):
            return  # some writers pad inside the header's size
        digits, space, _ = data[position : position + 12].partition(b" ")
        end = position + int(digits) if space and digits.isdigit() else 0
        start = position + len(digits) + 1
        if not start < end <= len(data) or data[end - 1] != 0x0A:
            raise LayerError("a PAX header is malformed: a record's length is wrong")
        key, equals, value = data[start : end - 1].partition(b"=")
        if not key or not equals:
            raise LayerError("a PAX header is malformed: a record has no key")
        yield key, value
        position = end


def apply_records(entry: Entry, records: Records) -> None:
    """Changes `entry` as `records` say; keys nobody asked for are ignored, as POSIX wants."""
    entry.name = _name(records, b"path") or entry.name
    entry.link = _name(records, b"linkpath") or entry.link
    if value := records.get(b"uid"):
        entry.uid = check_id(_decimal(value))
    if value := records.get(b"gid"):
        entry.gid = check_id(_decimal(value))
    if value := records.get(b"mtime"):
        entry.mtime_ns = _time_ns(value)
    if (value := records.get(b"size")) and entry.kind not in WITHOUT_DATA:
        entry.size_bytes = entry.stored_bytes = check_size(_decimal(value))
    for key, value in records.items():
        if key.startswith(_XATTR) and len(key) > len(_XATTR) and b"\0" not in key:
            entry.xattrs[key[len(_XATTR) :]] = value
    _apply_sparse(entry, records)


def _apply_sparse(entry: Entry, records: Records) -> None:
    name = _name(records, b"GNU.sparse.name")
    real_size = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
    if real_size is None:
        return
    if entry.kind in WITHOUT_DATA:
        raise LayerError("a PAX header makes a sparse file of something that is no file")
    entry.name = name or entry.name
    entry.size_bytes = check_size(_decimal(real_size))
    text = records.get(b"GNU.sparse.map")
    if text is not None:
        numbers = [_decimal(word) for word in text.split(b",")] if text else []
        entry.regions = check_regions(numbers, entry)


def map_is_in_data(records: Records) -> bool:
    """True for format 1.0, whose map is the first blocks of the file's data."""
    return records.get(b"GNU.sparse.major") == b"1"


def check_regions(numbers: Iterable[int], entry: Entry) -> list[Region]:
    """Offsets and lengths in turn, as regions that rise, do not overlap, and fit the file.

    Raises LayerError otherwise, or when they do not add up to the bytes that are stored.
    """
    flat = list(numbers)
    if len(flat) % 2 or len(flat) > 2 * MAX_REGIONS:
        raise LayerError("a sparse file's map is malformed")
    regions = list(zip(flat[::2], flat[1::2], strict=True))
    end = stored = 0
    for offset, length in regions:
        if offset < end or length < 0 or offset + length > entry.size_bytes:
            raise LayerError("a sparse file's map does not fit its size")
        end = offset + length
        stored += length
    if stored != entry.stored_bytes:
        raise LayerError("a sparse file's map does not fit its data")
    return regions


def _name(records: Records, key: bytes) -> bytes:
    value = records.get(key, b"")
    if b"\0" in value:
        raise LayerError(f"a PAX header's {key.decode()} holds a NUL byte")
    return value


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise LayerError("a number in a PAX header is malformed")
    return int(text)


def _time_ns(text: bytes) -> int:
    sign = -1 if text.startswith(b"-") else 1
    seconds, _, fraction = text.removeprefix(b"-").partition(b".")
    if fraction and not fraction.isdigit():
        raise LayerError("a time in a PAX header is malformed")
    whole = clamp_time_s(_decimal(seconds))
    return sign * (whole * 1_000_000_000 + int(fraction[:9].ljust(9, b"0")))
