"""One 512-byte tar header as an `Entry`: ustar, GNU, star and the old V7 form.

Names stay bytes from here to the system call, so that whatever a layer holds keeps its exact
name, UTF-8 or not.

Source: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Final

from ..errors import LayerError

BLOCK: Final = 512

REGULAR: Final = b"0"
HARD_LINK: Final = b"1"
SYMLINK: Final = b"2"
CHARACTER_DEVICE: Final = b"3"
BLOCK_DEVICE: Final = b"4"
DIRECTORY: Final = b"5"
FIFO: Final = b"6"
CONTIGUOUS: Final = b"7"
OLD_REGULAR: Final = b"\0"
GNU_SPARSE: Final = b"S"
GNU_LONG_NAME: Final = b"L"
GNU_LONG_LINK: Final = b"K"
PAX: Final = b"x"
PAX_GLOBAL: Final = b"g"

WITHOUT_DATA: Final = frozenset(
    {HARD_LINK, SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO}
)
"""Their size field means nothing: some writers put a target's size there, without data."""

MAX_SIZE: Final = 1 << 43
"""8 TiB, near ext4's own limit for one file; a larger size is a damaged or hostile header."""
MAX_ID: Final = (1 << 32) - 2
"""(uid_t)-1 means "leave as it is" to chown(2)."""
_MAX_TIME_S: Final = 1 << 40

Region = tuple[int, int]
"""Offset and length (bytes) of data inside a sparse file."""


@dataclass(slots=True)
class Entry:
    """One thing in a layer. `stored_bytes` follow in the stream; `size_bytes` is what it becomes
    (larger for sparse files, whose `regions` say where the stored bytes go).
    """

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime_ns: int
    link: bytes
    major: int = 0
    minor: int = 0
    stored_bytes: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    regions: list[Region] | None = None


def parse_header(header: bytes) -> Entry:
    """The entry a header describes, before any PAX record or GNU long name is applied.

    Raises
    ------
    LayerError
        Wrong checksum, a number that is none, or one out of any sensible range.
    """
    check_sum(header)
    name = _text(header, 0, 100)
    kind = header[156:157]
    if header[257:263] == b"ustar\0":
        star = header[508:512] == b"tar\0"
        prefix = _text(header, 345, 131 if star else 155)
        if prefix:
            name = prefix + b"/" + name
    size_bytes = number(header[124:136])
    if kind in WITHOUT_DATA:
        size_bytes = 0
    elif kind in (OLD_REGULAR, CONTIGUOUS, REGULAR):
        # V7 had no type for directories: a slash at the end of the name told them
        kind = DIRECTORY if name.endswith(b"/") and not size_bytes else REGULAR
    check_size(size_bytes)
    is_device = kind in (CHARACTER_DEVICE, BLOCK_DEVICE)
    return Entry(
        name=name,
        kind=kind,
        mode=_small_number(header[100:108]) & 0o7777,
        uid=check_id(_small_number(header[108:116])),
        gid=check_id(_small_number(header[116:124])),
        size_bytes=size_bytes,
        mtime_ns=clamp_time_s(number(header[136:148])) * 1_000_000_000,
        link=_text(header, 157, 100),
        major=number(header[329:337]) if is_device else 0,
        minor=number(header[337:345]) if is_device else 0,
        stored_bytes=size_bytes,
    )


def check_sum(header: bytes) -> None:
    """Raises LayerError unless the header's checksum fits; old tars added up signed bytes."""
    stored = number(header[148:156])
    unsigned = sum(header) - sum(header[148:156]) + 8 * 0x20
    if stored == unsigned:
        return
    high = sum(byte > 127 for byte in header[:148] + header[156:])
    if stored != unsigned - 256 * high:
        raise LayerError("the layer is not a tar, or damaged: a header's checksum is wrong")


def number(text: bytes) -> int:
    """A numeric field: octal digits, or base-256 when its first bit is set (GNU)."""
    if text[0] & 0x80:
        value = int.from_bytes(text, "big", signed=True)
        if text[0] == 0x80:
            value = int.from_bytes(text[1:], "big")
        if not -(1 << 63) <= value < 1 << 63:
            raise LayerError("a number in a tar header is out of range")
        return value
    digits = text.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    try:
        if digits.isdigit():  # int() alone would take signs and underscores
            return int(digits, 8)
    except ValueError:
        pass
    raise LayerError(f"a number in a tar header is malformed: {printable(digits)}")


_small_number = functools.lru_cache(maxsize=1024)(number)
"""Modes and owners repeat from entry to entry."""


def check_size(value: int) -> int:
    if not 0 <= value <= MAX_SIZE:
        raise LayerError(f"a tar header claims an impossible size: {value}")
    return value


def check_id(value: int) -> int:
    if not 0 <= value <= MAX_ID:
        raise LayerError(f"a tar header claims an impossible owner: {value}")
    return value


def clamp_time_s(value: int) -> int:
    """`value` within what any file system could keep (each clamps further by itself)."""
    return max(-_MAX_TIME_S, min(_MAX_TIME_S, value))


def printable(name: bytes) -> str:
    """`name` for an error message: one line, no control characters, not endless."""
    text = name[:200].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return shown + ("…" if len(name) > 200 else "")


def _text(header: bytes, start: int, length: int) -> bytes:
    end = header.find(b"\0", start, start + length)
    return header[start : end if end >= 0 else start + length]
