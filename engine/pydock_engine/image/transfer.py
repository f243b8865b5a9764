"""Blobs from the registry into the store, continued where a broken connection left them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from .. import errors
from ..oci.image import Descriptor
from ..registry.client import RegistryClient
from ..store.cas import BlobStore
from ..store.digest import VerifiedWriter
from ..store.session import Session
from .records import PullProgress
from .workers import Workers

EVENT_INTERVAL_S = 0.05
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


class Downloads:
    """Blobs of one pull: each digest is fetched once, however often the image lists it."""

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        blobs: BlobStore,
        session: Session,
        workers: Workers[PullProgress],
    ) -> None:
        self._client = client
        self._repository = repository
        self._blobs = blobs
        self._session = session
        self._workers = workers
        self._first: dict[str, Future[None]] = {}

    def fetch(self, descriptor: Descriptor, *, trusted: bool) -> bool:
        """Brings the blob; False when it was here already.

        A blob that is going to be unpacked is read once more first, unless `trusted`: that mends
        what was damaged on disk.
        """
        future: Future[None] = Future()
        first = self._first.setdefault(descriptor.digest, future)
        if first is not future:
            first.result()
            return False
        try:
            here = self._blobs.has if trusted else self._blobs.is_sound
            if here(descriptor):
                future.set_result(None)
                return False
            self._fetch(descriptor)
            future.set_result(None)
            return True
        except BaseException as error:
            future.set_exception(error)
            raise

    def _fetch(self, descriptor: Descriptor) -> None:
        due = 0.0

        def tell(current: int) -> None:
            nonlocal due
            now = time.monotonic()
            if now >= due:
                due = now + EVENT_INTERVAL_S
                self._workers.emit(event_of(descriptor, "downloading", current))

        tell(0)
        fetch_blob(self._client, self._repository, descriptor, self._blobs, self._session, tell)
        self._workers.emit(event_of(descriptor, "verifying", descriptor.size))


def event_of(descriptor: Descriptor, phase: str, current: int) -> PullProgress:
    return PullProgress(
        digest=descriptor.digest, phase=phase, current=current, total=descriptor.size
    )
