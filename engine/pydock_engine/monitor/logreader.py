"""Reading a log: from an offset on, or its last lines. Bounded memory, damaged lines left out."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from .log import Entry

BLOCK_BYTES = 256 * 1024
"""Longer than any entry: 16 KiB of control characters are 96 KiB in JSON, and 22 KiB in base64."""

_decoder = msgspec.json.Decoder(Entry)


def read_block(fd: int, offset: int, end: int | None = None) -> tuple[list[Entry], int]:
    """Whole entries from `offset` on, and the offset behind them; none when there are no more."""
    length = BLOCK_BYTES if end is None else min(BLOCK_BYTES, end - offset)
    data = os.pread(fd, length, offset)
    whole = data.rfind(b"\n") + 1
    if not whole and len(data) == BLOCK_BYTES:
        return [], offset + len(data)  # no entry is that long: damaged, skip it
    entries = [entry for line in data[:whole].split(b"\n") if (entry := _parse(line))]
    return entries, offset + whole


def read_entries(fd: int, offset: int = 0) -> Iterator[Entry]:
    """Every entry from `offset` to the present end."""
    while True:
        entries, behind = read_block(fd, offset)
        if behind == offset:
            return
        yield from entries
        offset = behind


def tail_offset(fd: int, lines: int) -> int:
    """Where the last `lines` lines of output begin; pieces of one long line count as one."""
    position = os.fstat(fd).st_size
    if lines <= 0:
        return position
    ended = 0
    rest = b""
    first = True
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        data = os.pread(fd, position - start, start) + rest
        split = data.split(b"\n")
        rest = split.pop(0) if start else b""
        end = start + len(data)  # where the line looked at next ends
        for line in reversed(split):
            entry = _parse(line) if line else None
            if entry is not None:
                ended += entry.log.endswith("\n") or first
                first = False
                if ended > lines:
                    return end + 1  # behind that entry's newline
            end -= len(line) + 1
        position = start
    return 0


def _parse(line: bytes) -> Entry | None:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None
