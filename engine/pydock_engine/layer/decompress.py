"""The bytes of a layer's tar, whatever it travels as: gzip, zstd or plain."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import IO, Final, cast

import zstandard
from isal import isal_zlib

from ..errors import LayerError

READ_BYTES: Final = 256 * 1024
CHUNK_BYTES: Final = 1024 * 1024
"""No chunk that comes out is larger, however well the input was compressed."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_GZIP_WINDOW: Final = 31  # zlib's wbits: the largest window, with a gzip header and trailer
_GZIP_ERROR = cast(type[Exception], isal_zlib.error)  # its stubs call it an instance
_MAX_ZSTD_WINDOW: Final = 1 << 27
"""128 MiB, the reference decoder's own limit: a frame header may ask for far more memory."""


class Decompressor:
    """Iterates over the uncompressed bytes of what `fd` holds, from its present position.

    The first bytes decide the format; a media type is only what somebody wrote down. Concatenated
    gzip members and zstd frames are one stream. `compressed_bytes` counts what was read so far.

    Raises
    ------
    LayerError
        Damaged or truncated input, or bytes after its end that are not padding.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.compressed_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        head = self._read_head(4)
        if head.startswith(_GZIP_MAGIC):
            return self._gunzip(head)
        if head.startswith(_ZSTD_MAGIC) or _is_skippable_frame(head[:4]):
            return self._unzstd(head)
        return self._plain(head)

    def _read(self) -> bytes:
        data = os.read(self._fd, READ_BYTES)
        self.compressed_bytes += len(data)
        return data

    def _read_head(self, size: int) -> bytes:
        head = b""
        while len(head) < size:  # a pipe may give less than was asked for
            more = self._read()
            if not more:
                break
            head += more
        return head

    def _plain(self, data: bytes) -> Iterator[bytes]:
        while data:
            yield data
            data = self._read()

    def _gunzip(self, data: bytes) -> Iterator[bytes]:
        while data:
            data = yield from self._gunzip_member(data)
            if not data:
                data = self._read()
            if not data.strip(b"\0"):  # zeros after the last member: a tape's padding
                self._expect_padding()
                return

    def _gunzip_member(self, data: bytes) -> Generator[bytes, None, bytes]:
        """Yields one member's bytes; its value is what was read beyond the member."""
        member = isal_zlib.decompressobj(_GZIP_WINDOW)
        try:
            while not member.eof:
                if not data:
                    raise LayerError("the layer's gzip stream is truncated")
                chunk = member.decompress(data, CHUNK_BYTES)
                if chunk:
                    yield chunk
                data = member.unconsumed_tail
                if not data and not member.eof:
                    data = self._read()
        except _GZIP_ERROR as error:
            raise LayerError(f"the layer's gzip stream is damaged: {error}") from error
        return bytes(member.unused_data)

    def _expect_padding(self) -> None:
        while data := self._read():
            if data.strip(b"\0"):
                raise LayerError("the layer has bytes after the end of its gzip stream")

    def _unzstd(self, head: bytes) -> Iterator[bytes]:
        reader = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW).stream_reader(
            cast(IO[bytes], _Source(self, head)), read_size=READ_BYTES, read_across_frames=True
        )
        try:
            while chunk := reader.read(CHUNK_BYTES):
                yield chunk
        except zstandard.ZstdError as error:
            raise LayerError(f"the layer's zstd stream is damaged: {error}") from error


class _Source:
    """What zstandard reads from: the bytes already looked at, then the rest."""

    def __init__(self, owner: Decompressor, head: bytes) -> None:
        self._owner = owner
        self._head = head

    def read(self, size: int) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head or self._owner._read()


def _is_skippable_frame(head: bytes) -> bool:
    """zstd:chunked and others may begin with a frame of metadata (RFC 8878, 3.1.2)."""
    return len(head) == 4 and head[1:] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50
