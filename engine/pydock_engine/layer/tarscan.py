"""Entries of a tar as it streams by, each with its data still in the stream.

Own code because the standard library's reader seeks, copies and builds large objects: this one
looks at each byte once, and hands file data to write(2) straight from the decompressor's chunk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ..errors import LayerError
from .pax import MAX_RECORDS_BYTES, Records, apply_records, check_regions, map_is_in_data
from .pax import parse_records as parse_pax
from .tarheader import (
    BLOCK,
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    GNU_SPARSE,
    PAX,
    PAX_GLOBAL,
    REGULAR,
    Entry,
    number,
    parse_header,
)

_ZEROS: Final = bytes(BLOCK)
_MAX_LONG_NAME: Final = 64 * 1024
_MAX_MAP_BYTES: Final = 8 * 1024 * 1024


class TarStream:
    """Owns the position in a stream of chunks; `on_chunk` sees every byte exactly once.

    A read past the end raises LayerError ("truncated").
    """

    def __init__(self, chunks: Iterable[bytes], on_chunk: Callable[[bytes], None]) -> None:
        self._chunks = iter(chunks)
        self._on_chunk = on_chunk
        self._view = memoryview(b"")
        self._at = 0
        self._passed_bytes = 0

    @property
    def position(self) -> int:
        return self._passed_bytes + self._at

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, copied out: for headers, whose sizes are bounded."""
        end = self._at + size
        if end <= len(self._view):
            data = bytes(self._view[self._at : end])
            self._at = end
            return data
        parts = []
        while size:
            piece = self._piece(size)
            parts.append(bytes(piece))
            size -= len(piece)
        return b"".join(parts)

    def read_block(self) -> bytes | None:
        """The next 512 bytes; None where the stream ends instead."""
        if self._at == len(self._view) and not self._refill():
            return None
        return self.read(BLOCK)

    def write_to(self, fd: int, size: int) -> None:
        """Writes the next `size` bytes to `fd` at its position."""
        while size:
            piece = self._piece(size)
            size -= len(piece)
            written = os.write(fd, piece)
            while written < len(piece):
                piece = piece[written:]
                written = os.write(fd, piece)

    def skip(self, size: int) -> None:
        while size:
            size -= len(self._piece(size))

    def drain(self) -> None:
        """Passes over all that is left: a digest covers bytes after the last entry, too."""
        while self._refill():
            pass

    def _piece(self, size: int) -> memoryview:
        """Between 1 and `size` bytes, still in the chunk they came in."""
        if self._at == len(self._view) and not self._refill():
            raise LayerError("the layer's tar is truncated")
        piece = self._view[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _refill(self) -> bool:
        self._passed_bytes += len(self._view)
        self._at = 0
        chunk = next(self._chunks, b"")
        self._view = memoryview(chunk)
        if not chunk:
            return False
        self._on_chunk(chunk)
        return True


def scan(stream: TarStream) -> Iterator[Entry]:
    """Yields each entry; the caller may take its `stored_bytes` from the stream, or leave them.

    Ends at the archive's end mark or where the stream ends between entries; what comes after
    the mark stays in the stream.

    Raises
    ------
    LayerError
        Anything malformed, truncated, or larger than any real layer has it.
    """
    defaults: Records = {}
    pending = _Pending()
    while (header := stream.read_block()) is not None:
        if header == _ZEROS:
            break
        entry = parse_header(header)
        if entry.kind == PAX_GLOBAL:
            defaults |= parse_pax(_read_special(stream, entry, MAX_RECORDS_BYTES))
            if len(defaults) > 1000:
                raise LayerError("the layer's global PAX headers are too many")
            continue
        if pending.take(stream, entry):
            continue
        pending.apply(stream, header, entry, defaults)
        pending = _Pending()
        end = stream.position + _padded(entry.stored_bytes)
        yield entry
        stream.skip(end - stream.position)
    if not pending.is_empty:
        raise LayerError("the layer's tar is truncated: a header describes nothing")


class _Pending:
    """What special headers said about the entry that follows them."""

    def __init__(self) -> None:
        self.name: bytes | None = None
        self.link: bytes | None = None
        self.records: Records = {}
        self.is_empty = True

    def take(self, stream: TarStream, entry: Entry) -> bool:
        """True when `entry` was such a header; its content is remembered."""
        if entry.kind == PAX:
            self.records = parse_pax(_read_special(stream, entry, MAX_RECORDS_BYTES))
        elif entry.kind == GNU_LONG_NAME:
            self.name = _read_special(stream, entry, _MAX_LONG_NAME).partition(b"\0")[0]
        elif entry.kind == GNU_LONG_LINK:
            self.link = _read_special(stream, entry, _MAX_LONG_NAME).partition(b"\0")[0]
        else:
            return False
        self.is_empty = False
        return True

    def apply(self, stream: TarStream, header: bytes, entry: Entry, defaults: Records) -> None:
        entry.name = self.name or entry.name
        entry.link = self.link or entry.link
        if entry.kind == GNU_SPARSE:
            _read_gnu_map(stream, header, entry)
        records = defaults | self.records if defaults else self.records
        if records:
            apply_records(entry, records)
            if map_is_in_data(records):
                _read_map_in_data(stream, entry)
        if entry.regions is None:
            entry.size_bytes = entry.stored_bytes


def _read_special(stream: TarStream, entry: Entry, limit: int) -> bytes:
    if entry.stored_bytes > limit:
        raise LayerError(f"a special tar header is too large: {entry.stored_bytes} bytes")
    data = stream.read(_padded(entry.stored_bytes))
    return data[: entry.stored_bytes]


def _read_gnu_map(stream: TarStream, header: bytes, entry: Entry) -> None:
    """Old GNU sparse: 4 regions in the header, 21 in each block that may follow it."""
    flat = _gnu_regions(header[386:482])
    more, total = header[482], 96
    while more:
        block = stream.read(BLOCK)
        flat += _gnu_regions(block[:504])
        more, total = block[504], total + BLOCK
        if total > _MAX_MAP_BYTES:
            raise LayerError("a sparse file's map is too large")
    entry.kind = REGULAR
    entry.size_bytes = number(header[483:495])
    entry.regions = check_regions(flat, entry)


def _gnu_regions(data: bytes) -> list[int]:
    flat = []
    for at in range(0, len(data), 24):
        if data[at] == 0:  # an unused place; lengths of zero are allowed before it
            break
        flat += [number(data[at : at + 12]), number(data[at + 12 : at + 24])]
    return flat


def _read_map_in_data(stream: TarStream, entry: Entry) -> None:
    """PAX sparse format 1.0: decimal lines in the data's first blocks, count first."""
    lines: list[bytes] = []
    text, used, wanted = b"", 0, 1
    while len(lines) < wanted:
        if used + BLOCK > min(entry.stored_bytes, _MAX_MAP_BYTES):
            raise LayerError("a sparse file's map is longer than its data")
        *whole, text = (text + stream.read(BLOCK)).split(b"\n")
        used += BLOCK
        lines += whole
        if len(text) > 20 and len(lines) < wanted:
            raise LayerError("a sparse file's map is malformed")
        if lines and wanted == 1:
            wanted += 2 * _map_number(lines[0])
    entry.stored_bytes -= used
    entry.regions = check_regions((_map_number(line) for line in lines[1:wanted]), entry)


def _map_number(line: bytes) -> int:
    if not line.isdigit() or len(line) > 20:
        raise LayerError("a sparse file's map is malformed")
    return int(line)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
