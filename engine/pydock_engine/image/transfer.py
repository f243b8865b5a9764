"""One blob from the registry into the store, continued where a broken connection left it."""

from __future__ import annotations

from collections.abc import Callable

from .. import errors
from ..oci.image import Descriptor
from ..registry.client import RegistryClient
from ..store.cas import BlobStore
from ..store.digest import VerifiedWriter
from ..store.session import Session

ATTEMPTS = 3


def fetch_blob(
    client: RegistryClient,
    repository: str,
    descriptor: Descriptor,
    blobs: BlobStore,
    session: Session,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> None:
    """Puts the blob into the store, whole and checked; `on_bytes` is told the bytes so far.

    A transfer that breaks off is continued with a range request, ATTEMPTS times without progress.

    Raises
    ------
    IntegrityError
        Digest or size differ, or the registry always ends too early.
    RegistryError, ImageNotFound, DiskFull, StoreError
        Nothing was put in place.
    """
    with blobs.writer(session, descriptor) as writer:
        failures_left = ATTEMPTS
        while writer.written < descriptor.size or descriptor.size == 0:
            before = writer.written
            error = _continue(client, repository, descriptor, writer, on_bytes)
            if writer.written == descriptor.size:
                return
            failures_left = ATTEMPTS if writer.written > before else failures_left - 1
            if failures_left == 0:
                raise error or errors.IntegrityError(
                    f"the registry ends {descriptor.digest} after {writer.written} "
                    f"of {descriptor.size} bytes",
                    way_out="the image is damaged in the registry; push it again",
                    digest=descriptor.digest,
                    truncated=True,
                )


def _continue(
    client: RegistryClient,
    repository: str,
    descriptor: Descriptor,
    writer: VerifiedWriter,
    on_bytes: Callable[[int], None],
) -> errors.RegistryError | None:
    """Writes what comes; gives back a broken connection's error, if that is how it ended."""
    try:
        with client.open_blob(repository, descriptor.digest, writer.written) as stream:
            skip = writer.written - stream.start
            for chunk in stream:
                useful = chunk[skip:] if skip else chunk
                skip -= len(chunk) - len(useful)
                if useful:
                    writer.write(useful)
                    on_bytes(writer.written)
    except errors.ImageNotFound as error:
        raise errors.RegistryError(
            f"the registry lists {descriptor.digest} as a part of the image and does not have it",
            way_out="the image is damaged in the registry; push it again",
            digest=descriptor.digest,
            temporary=False,
        ) from error
    except errors.RegistryUnreachable as error:
        if not error.facts["temporary"]:
            raise
        return error
    return None
