"""Blobs by digest: `blobs/<algorithm>/<hex>`, whole and checked or not there at all.

A blob appears by rename from an ingest folder, after its bytes matched; it never changes.
Adding one that is there already is a success. A killed writer leaves only its ingest folder.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import errors
from ..oci.image import Descriptor
from ..paths import Paths
from . import digest as digests
from .session import Session

DOCUMENT_LIMIT = 4 << 20
"""Largest manifest, index or config that is read into memory (distribution-spec: 4 MiB)."""


class BlobStore:
    """The blobs of one store. Methods may be called from any thread."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def path(self, digest: str) -> Path:
        """Where `digest` lies, or would; raises IntegrityError for what is not a digest."""
        return self._paths.blob(digests.check(digest))

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is here in its full size (its bytes were checked when it came)."""
        try:
            return self.path(descriptor.digest).stat().st_size == descriptor.size
        except FileNotFoundError:
            return False

    def is_sound(self, descriptor: Descriptor) -> bool:
        """Whether the blob is here and still has its digest: reads all of it."""
        try:
            with self.open(descriptor) as reader:
                while reader.read(digests.CHUNK):
                    pass
        except (errors.BlobNotFound, errors.IntegrityError):
            return False
        return True

    def open(self, descriptor: Descriptor) -> digests.VerifiedReader:
        """A reader to close, that checks digest and size again as bytes pass.

        Raises
        ------
        BlobNotFound
            The blob is not here.
        """
        try:
            source = open(self.path(descriptor.digest), "rb")  # noqa: SIM115 - the reader's
        except FileNotFoundError as error:
            raise errors.BlobNotFound(
                f"the store has no blob {descriptor.digest}",
                way_out="pull the image again to fetch what is missing",
                digest=descriptor.digest,
            ) from error
        return digests.VerifiedReader(source, descriptor.digest, descriptor.size)

    def read(self, descriptor: Descriptor) -> bytes:
        """A whole document, checked; refuses one beyond DOCUMENT_LIMIT.

        Raises
        ------
        BlobNotFound, IntegrityError
            It is not here, or its bytes were changed on disk.
        """
        if descriptor.size > DOCUMENT_LIMIT:
            raise errors.IntegrityError(
                f"{descriptor.digest} of {descriptor.size} bytes is too large for a document"
            )
        with self.open(descriptor) as reader:
            try:
                return reader.read()
            except errors.IntegrityError as error:
                error.way_out = "pull the image again to replace what is damaged"
                raise

    @contextmanager
    def writer(self, session: Session, descriptor: Descriptor) -> Iterator[digests.VerifiedWriter]:
        """A writer in the session's folder; leaving the block checks the blob and puts it in place.

        Raises IntegrityError (nothing is put in place), DiskFull or StoreError.
        """
        final = self.path(descriptor.digest)
        # A name of its own: two threads of one session may bring the same blob.
        partial = session.file(f"{final.name}.{secrets.token_hex(4)}")
        try:
            with open(partial, "wb") as sink:
                writer = digests.VerifiedWriter(sink, descriptor.digest, descriptor.size)
                yield writer
                writer.finish()
            os.chmod(partial, 0o444)
            final.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(partial, final)
        except OSError as error:
            raise errors.disk_error(error, self._paths.root) from error
        finally:
            partial.unlink(missing_ok=True)

    def add(self, session: Session, data: bytes, media_type: str) -> Descriptor:
        """`data` as a blob, and its descriptor."""
        descriptor = Descriptor(media_type=media_type, digest=digests.of(data), size=len(data))
        if not self.is_sound(descriptor):
            with self.writer(session, descriptor) as writer:
                writer.write(data)
        return descriptor

    def digests(self) -> Iterator[str]:
        """Every blob's digest."""
        for algorithm in _names(self._paths.blobs):
            for name in _names(self._paths.blobs / algorithm):
                yield f"{algorithm}:{name}"

    def delete(self, digest: str) -> int:
        """Removes a blob; the bytes freed, 0 when it was not there."""
        path = self.path(digest)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        return size


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if re.fullmatch(r"[0-9a-z]+", name)]
    except FileNotFoundError:
        return []
