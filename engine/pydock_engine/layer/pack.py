"""Writing layers: a deterministic tar of listed items, its two digests taken on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Final

import msgspec
from isal import isal_zlib

from ..errors import LayerError
from ..oci import media_types
from .tarheader import BLOCK, DIRECTORY, HARD_LINK, PAX, REGULAR, SYMLINK, WITHOUT_DATA, printable

_READ_BYTES: Final = 1024 * 1024
_END: Final = bytes(2 * BLOCK)
_GZIP_LEVEL: Final = 1
"""isal's levels end at 3, and 1 costs about what reading the files does."""


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes one tar entry. A regular file's data is `content`, or what `source` holds."""

    name: bytes
    kind: bytes = REGULAR
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_s: int = 0
    link: bytes = b""
    content: bytes = b""
    source: bytes | None = None
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    major: int = 0
    minor: int = 0


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A finished layer: `digest` and `size` of the file, `diff_id` of the tar in it."""

    diff_id: str
    digest: str
    size: int
    media_type: str
    entries: int
    unreadable: int
    """Items left out because their source could not be read."""


def folder(name: bytes, mode: int = 0o755, mtime_s: int = 0) -> Item:
    return Item(name, DIRECTORY, mode, mtime_s=mtime_s)


def symlink(name: bytes, target: bytes, mtime_s: int = 0) -> Item:
    return Item(name, SYMLINK, 0o777, mtime_s=mtime_s, link=target)


def pack(items: Iterable[Item], output: IO[bytes], *, compress: bool = True) -> Packed:
    """Writes `items`, sorted by name, to `output` as one layer; equal items give equal bytes.

    A source that cannot be opened is left out and counted, one that shrinks while it is read
    is a LayerError. Hard links are written last, so that what they name is there.

    Raises
    ------
    LayerError
        See above; also two items of one name.
    OSError
        `output` cannot be written.
    """
    writer = _Writer(output, compress=compress)
    seen: set[bytes] = set()
    for item in sorted(items, key=lambda item: (item.kind == HARD_LINK, item.name)):
        if item.name in seen:
            raise LayerError(f"two entries of one name: {printable(item.name)}")
        seen.add(item.name)
        writer.add(item)
    return writer.finish()


class _Writer:
    def __init__(self, output: IO[bytes], *, compress: bool) -> None:
        self._output = output
        self._compressor = isal_zlib.compressobj(_GZIP_LEVEL, wbits=31) if compress else None
        self._tar_hash = hashlib.sha256()
        self._blob_hash = hashlib.sha256()
        self._size = 0
        self._entries = 0
        self._unreadable = 0

    def add(self, item: Item) -> None:
        if item.source is None:
            self._write(_headers(item, len(item.content)))
            if item.content:
                self._write(item.content)
                self._write(bytes(-len(item.content) % BLOCK))
        else:
            try:
                fd = os.open(item.source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                self._unreadable += 1
                return
            try:
                self._copy(item, fd)
            finally:
                os.close(fd)
        self._entries += 1

    def _copy(self, item: Item, fd: int) -> None:
        size = left = os.fstat(fd).st_size
        data = _headers(item, size)
        while left:
            piece = os.read(fd, min(left, _READ_BYTES))
            if not piece:
                raise LayerError(f"{os.fsdecode(item.source or b'')} changed while it was read")
            left -= len(piece)
            self._write(data + piece)
            data = b""
        self._write(data + bytes(-size % BLOCK))

    def _write(self, data: bytes) -> None:
        self._tar_hash.update(data)
        if self._compressor is not None:
            data = self._compressor.compress(data)
        self._emit(data)

    def _emit(self, data: bytes) -> None:
        if data:
            if self._compressor is not None:
                self._blob_hash.update(data)
            self._size += len(data)
            self._output.write(data)

    def finish(self) -> Packed:
        self._write(_END)
        if self._compressor is not None:
            self._emit(self._compressor.flush())
        self._output.flush()
        diff_id = f"sha256:{self._tar_hash.hexdigest()}"
        compressed = self._compressor is not None
        return Packed(
            diff_id=diff_id,
            digest=f"sha256:{self._blob_hash.hexdigest()}" if compressed else diff_id,
            size=self._size,
            media_type=media_types.OCI_LAYER_GZIP if compressed else media_types.OCI_LAYER,
            entries=self._entries,
            unreadable=self._unreadable,
        )


def _headers(item: Item, size: int) -> bytes:
    """The ustar header, after a PAX one for whatever does not fit it."""
    size = 0 if item.kind in WITHOUT_DATA else size
    name = item.name + b"/" if item.kind == DIRECTORY else item.name
    records = {b"SCHILY.xattr." + key: value for key, value in item.xattrs.items()}
    if len(name) > 100 or not name.isascii():
        records[b"path"] = name
    if len(item.link) > 100 or not item.link.isascii():
        records[b"linkpath"] = item.link
    if size >= 8**11:
        records[b"size"] = b"%d" % size
    for key, value in ((b"uid", item.uid), (b"gid", item.gid)):
        if value >= 8**7:
            records[key] = b"%d" % value
    if not 0 <= item.mtime_s < 8**11:
        records[b"mtime"] = b"%d" % item.mtime_s
    header = _ustar(item, name, size)
    if not records:
        return header
    if any(not value.isascii() for value in records.values()):
        # the values are bytes, not necessarily UTF-8: POSIX's way to say so
        records = {b"hdrcharset": b"BINARY", **records}
    data = b"".join(_record(key, value) for key, value in records.items())
    special = _ustar(Item(b"", PAX, mtime_s=0), b"PaxHeaders/" + name[:80], len(data))
    return special + data + bytes(-len(data) % BLOCK) + header


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(item: Item, name: bytes, size: int) -> bytes:
    def octal(value: int, digits: int) -> bytes:
        return b"%0*o\0" % (digits, value if 0 <= value < 8**digits else 0)

    header = b"".join(
        (
            name[:100].ljust(100, b"\0"),
            octal(item.mode, 7),
            octal(item.uid, 7),
            octal(item.gid, 7),
            octal(size, 11),
            octal(item.mtime_s, 11),
            b" " * 8,
            item.kind,
            item.link[:100].ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),  # user and group names: numbers are what counts in a container
            octal(item.major, 7),
            octal(item.minor, 7),
        )
    ).ljust(BLOCK, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
