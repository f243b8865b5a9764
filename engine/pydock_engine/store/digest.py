"""Digests: their grammar, and bytes that are checked against one as they pass."""

from __future__ import annotations

import hashlib
import re
from typing import IO, Protocol

from .. import errors

CHUNK = 1 << 20
"""Bytes moved at a time: large enough for hashing to outweigh the calls around it."""

_SHAPES = {"sha256": 64, "sha512": 128}
_GRAMMAR = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([A-Za-z0-9=_-]+)")


class Sink(Protocol):
    """Where checked bytes go."""

    def write(self, data: bytes, /) -> object: ...


def of(data: bytes) -> str:
    """The sha256 digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check(digest: str) -> str:
    """`digest` itself when it is well formed and can be verified here.

    Raises
    ------
    IntegrityError
        Not a digest, or of an algorithm this engine does not check.
    """
    match = _GRAMMAR.fullmatch(digest)
    length = _SHAPES.get(match.group(1)) if match else None
    if length is None or not re.fullmatch(rf"[a-z0-9]+:[0-9a-f]{{{length}}}", digest):
        raise errors.IntegrityError(f"{digest[:140]!r} is not a sha256 or sha512 digest")
    return digest


def is_valid(text: str) -> bool:
    """Whether `check` would let `text` pass."""
    try:
        check(text)
    except errors.IntegrityError:
        return False
    return True


class Verifier:
    """Counts and hashes bytes; refuses the first byte beyond `size`, and a wrong end."""

    def __init__(self, digest: str, size: int, name: str = "") -> None:
        self.digest = check(digest)
        if size < 0:
            raise errors.IntegrityError(f"{digest} has the impossible size {size}")
        self.size = size
        self.seen = 0
        self._name = name or digest
        self._hash = hashlib.new(digest.partition(":")[0])

    def update(self, data: bytes) -> None:
        self.seen += len(data)
        if self.seen > self.size:
            raise errors.IntegrityError(
                f"{self._name} is longer than its {self.size} bytes", digest=self.digest
            )
        self._hash.update(data)

    def finish(self) -> None:
        """Raises IntegrityError unless exactly the promised bytes have passed."""
        if self.seen != self.size:
            raise errors.IntegrityError(
                f"{self._name} ended after {self.seen} of {self.size} bytes",
                digest=self.digest,
                truncated=True,
            )
        found = f"{self._hash.name}:{self._hash.hexdigest()}"
        if found != self.digest:
            raise errors.IntegrityError(
                f"{self._name} does not match its digest: its bytes are {found}",
                digest=self.digest,
                found=found,
            )


class VerifiedReader:
    """Reads from `source`; raises IntegrityError in place of a wrong last byte. Owns `source`."""

    def __init__(self, source: IO[bytes], digest: str, size: int) -> None:
        self._source = source
        self._verifier = Verifier(digest, size)

    def read(self, amount: int = -1) -> bytes:
        if amount < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        # One byte more than is left, so that a longer source is noticed and never swallowed whole.
        left = self._verifier.size - self._verifier.seen
        data = self._source.read(min(amount, left + 1))
        self._verifier.update(data)
        if self._verifier.seen == self._verifier.size or (amount and not data):
            self._verifier.finish()
        return data

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> VerifiedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class VerifiedWriter:
    """Passes bytes on to `sink`, never more than `size`; `finish` tells whether they were right."""

    def __init__(self, sink: Sink, digest: str, size: int) -> None:
        self._sink = sink
        self._verifier = Verifier(digest, size)

    @property
    def written(self) -> int:
        return self._verifier.seen

    def write(self, data: bytes) -> int:
        self._verifier.update(data)
        self._sink.write(data)
        return len(data)

    def finish(self) -> None:
        self._verifier.finish()
