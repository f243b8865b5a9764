"""The log in docker's json-file format: one JSON object a line, written at once, never lossy.

A line of output is one entry; longer ones are cut into entries of 16 KiB without a newline, as
docker does (daemon/logger, `defaultBufSize`). `log` is text, so bytes that are not UTF-8 are
replaced in it; such an entry has the original in `raw` (base64), a field docker's readers skip.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from .clock import rfc3339

MAX_LINE_BYTES = 16 * 1024

_HEAD = b'{"log":"'
_encode_json = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the file."""

    log: str
    stream: str
    time: str
    raw: bytes | None = None

    @property
    def data(self) -> bytes:
        """The bytes as the program wrote them."""
        return self.log.encode() if self.raw is None else self.raw


class LogWriter:
    """Appends output to a log. An unfinished line is held back (16 KiB at most) until it ends.

    `size` is the file's length: every entry before it is whole. When the disk is full, what cannot
    be written is given up, `failed` says why, and the file stays readable.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(path, flags, 0o600)
        self.size = os.fstat(self.fd).st_size
        self.failed = ""
        self._held = {"stdout": b"", "stderr": b""}
        if self.size and os.pread(self.fd, 1, self.size - 1) != b"\n":
            self._append(b"\n")  # a killed monitor's last entry: readers leave it out

    def write(self, stream: str, data: bytes) -> None:
        when = rfc3339(time.time_ns())
        end = data.rfind(b"\n") + 1
        whole = b""
        if end:
            whole = _entries(self._held[stream] + data[:end], stream, when)
            self._held[stream] = data[end:]
        else:
            self._held[stream] += data
        if len(self._held[stream]) > MAX_LINE_BYTES:
            cut, self._held[stream] = _cut(self._held[stream], stream, when)
            whole += cut
        self._append(whole)

    def held(self, stream: str) -> bytes:
        """The unfinished line, not yet in the file."""
        return self._held[stream]

    def finish(self) -> None:
        """Writes what was held back: nothing more will come."""
        when = rfc3339(time.time_ns())
        for stream, rest in self._held.items():
            if rest:
                self._append(_entry(rest, stream, when))
                self._held[stream] = b""

    def close(self) -> None:
        os.close(self.fd)

    def _append(self, entries: bytes) -> None:
        written = 0
        try:
            while written < len(entries):
                written += os.write(self.fd, entries[written:] if written else entries)
        except OSError as error:
            os.ftruncate(self.fd, self.size)
            self.failed = error.strerror or str(error)
            return
        self.size += written


def _entries(lines: bytes, stream: str, when: str) -> bytes:
    """Whole lines as entries; the longest stretch without an overlong line goes in one piece."""
    pieces = []
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + MAX_LINE_BYTES + 1) + 1
        if end:
            pieces.append(_short_lines(lines[start:end], stream, when))
        else:
            end = _boundary(lines, start + MAX_LINE_BYTES, start)
            pieces.append(_entry(lines[start:end], stream, when))
        start = end
    return b"".join(pieces)


def _short_lines(lines: bytes, stream: str, when: str) -> bytes:
    if b"\\" not in lines:
        try:
            text = lines.decode()
        except UnicodeDecodeError:
            pass
        else:
            # Without a backslash in the text, every `\n` of its JSON form is the end of a line.
            tail = b'\\n","stream":"%b","time":"%b"}\n' % (stream.encode(), when.encode())
            body = _encode_json(text)[1:-1].replace(b"\\n", tail + _HEAD)
            return _HEAD + body[: -len(_HEAD)]
    return b"".join(_entry(line, stream, when) for line in split_lines(lines))


def split_lines(data: bytes) -> list[bytes]:
    """Lines with their newline, and the rest; a carriage return ends none."""
    *lines, rest = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([rest] if rest else [])


def _cut(held: bytes, stream: str, when: str) -> tuple[bytes, bytes]:
    """(entries, rest): `held`, a line without an end, cut down to less than a piece."""
    pieces = []
    start = 0
    while len(held) - start > MAX_LINE_BYTES:
        end = _boundary(held, start + MAX_LINE_BYTES, start)
        pieces.append(_entry(held[start:end], stream, when))
        start = end
    return b"".join(pieces), held[start:]


def _boundary(data: bytes, end: int, start: int) -> int:
    """`end`, or a little less when that would cut a UTF-8 character in two."""
    back = end
    while back > max(start, end - 3) and data[back] & 0xC0 == 0x80:
        back -= 1
    return end if data[back] & 0xC0 == 0x80 or back == start else back


def _entry(data: bytes, stream: str, when: str) -> bytes:
    try:
        entry = Entry(data.decode(), stream, when)
    except UnicodeDecodeError:
        entry = Entry(data.decode("utf-8", "replace"), stream, when, raw=data)
    return _encode_json(entry) + b"\n"
