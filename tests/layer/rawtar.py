"""Tar headers written by hand, for what no honest writer would write."""

from __future__ import annotations

END = bytes(1024)


def header(
    name: bytes = b"f",
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    tail: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One header; numbers given as bytes are written as they are, `tail` lands at byte 329."""
    block = bytearray(512)
    block[0 : len(name[:100])] = name[:100]
    for start, width, value in (
        (100, 8, mode),
        (108, 8, uid),
        (116, 8, gid),
        (124, 12, size),
        (136, 12, mtime),
    ):
        text = value if isinstance(value, bytes) else b"%0*o\0" % (width - 1, value)
        block[start : start + len(text)] = text
    block[156:157] = kind
    block[157 : 157 + len(link[:100])] = link[:100]
    block[257 : 257 + len(magic)] = magic
    block[329 : 329 + len(tail)] = tail
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block) if checksum is None else checksum
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: bytes, data: bytes = b"", **fields: int | bytes) -> bytes:
    return header(name, size=len(data), **fields) + padded(data)  # type: ignore[arg-type]


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d" % length + body


def pax(data: bytes, kind: bytes = b"x") -> bytes:
    """An extended header with `data` as its records, well formed or not."""
    return header(b"PaxHeaders/x", kind, size=len(data)) + padded(data)


def gnu_long(name: bytes, kind: bytes = b"L") -> bytes:
    return header(b"././@LongLink", kind, size=len(name) + 1) + padded(name + b"\0")
