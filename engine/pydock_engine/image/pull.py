"""`pull`: resolve, fetch, unpack, commit, record. Either all of it happens or none of it shows.

Order of events for a layer: waiting, then downloading…, verifying, unpacking…, done, or `exists`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future

from .. import errors
from ..oci.image import Descriptor, ImageConfig, Manifest, Platform
from ..paths import Paths
from ..registry.client import RegistryClient, RemoteManifest
from ..store import gc
from ..store.cas import BlobStore
from ..store.database import Database
from ..store.images import ImageIndex, LayerRow, ManifestRow, NameRow
from ..store.session import Session, open_session
from . import documents, platform
from .chain import chain_ids
from .jobs import JobRunner
from .records import PullProgress
from .reference import Reference
from .resolve import Resolved, resolve
from .transfer import fetch_blob
from .unpack import LayerPlan, LayerUnpacker, plan_layers
from .workers import Workers

PARALLEL = 6
"""Layers under way at once: enough to hide latency, few enough for a registry's limits."""

EVENT_INTERVAL_S = 0.05
OnProgress = Callable[[PullProgress], None]


class Pull:
    """One pull of one name. `run` once."""

    def __init__(
        self,
        paths: Paths,
        database: Database,
        jobs: JobRunner,
        client: RegistryClient,
        on_progress: OnProgress | None,
    ) -> None:
        self._paths = paths
        self._database = database
        self._index = ImageIndex(database, paths)
        self._blobs = BlobStore(paths)
        self._jobs = jobs
        self._client = client
        self._on_progress = on_progress or (lambda _: None)

    def run(self, reference: Reference, wanted: Platform | None) -> str:
        """Manifest digest of the image that now stands for `reference`.

        Raises
        ------
        ImageNotFound, Unauthorized, RegistryError, IntegrityError, PlatformMismatch, LayerError,
        DiskFull, Unsupported
            The index and index.json are as they were; blobs that came whole may stay until
            the next sweep.
        """
        name = str(reference)
        wanted = wanted or platform.host_platform()
        resolved = self._known(reference, wanted) or resolve(self._client, reference, wanted)
        with open_session(self._paths) as session:
            gc.lease(self._database, session.name, blob_digests(resolved.manifest))
            config = self._fetch_config(session, reference, resolved)
            platform.check(config.platform, wanted, name)
            self._check_room(resolved.manifest)
            gc.lease(self._database, session.name, set(chain_ids(config.rootfs.diff_ids)))
            rows = self._bring_layers(session, reference, resolved.manifest, config)
            gc.lease(self._database, session.name, {resolved.remote.digest})
            self._blobs.add(session, resolved.remote.data, resolved.remote.media_type)
            self._record(reference, resolved, config, rows)
            # Only now: after a failure the leases end with the session's lock, on a full disk too.
            gc.release(self._database, session.name)
        return resolved.remote.digest

    def _known(self, reference: Reference, wanted: Platform) -> Resolved | None:
        """What the name stands for here already, if the registry has not moved on.

        Asking with HEAD spares registries that count pulls; a digest needs no asking at all.
        """
        name = self._index.name(reference.full)
        row = self._index.manifest(name.manifest_digest) if name else None
        if name is None or row is None:
            return None
        if platform.rank(platform.parse_platform(row.platform), wanted) is None:
            return None
        try:
            if reference.digest is None:
                now = self._client.head_manifest(reference.path, reference.registry_tag)
                if now != name.repo_digest:
                    return None
            found = Descriptor(media_type=row.media_type, digest=row.digest, size=row.size)
            data = self._blobs.read(found)
        except (errors.RegistryError, errors.IntegrityError, errors.NotFound):
            return None  # the full request tells what is wrong, or mends it
        manifest = documents.parse_manifest(data, str(reference))
        return Resolved(
            name.repo_digest, RemoteManifest(data, row.media_type, row.digest), manifest
        )

    def _fetch_config(
        self, session: Session, reference: Reference, resolved: Resolved
    ) -> ImageConfig:
        descriptor = resolved.manifest.config
        if not self._blobs.is_sound(descriptor):
            fetch_blob(self._client, reference.path, descriptor, self._blobs, session)
        data = self._blobs.read(descriptor)
        return documents.parse_config(data, resolved.manifest, str(reference))

    def _check_room(self, manifest: Manifest) -> None:
        """Refuses at once what cannot fit; unpacking may still find the disk full later."""
        missing = {d.digest: d.size for d in manifest.layers if not self._blobs.has(d)}
        needed = sum(missing.values())
        free = _free_bytes(self._paths)
        if needed > free:
            raise errors.DiskFull(
                f"the image needs {needed:,} bytes and {self._paths.root} has {free:,} left",
                way_out="free some space (`%image ls`, `%image rm`) "
                "or set PYDOCK_ROOT to a larger disk",
                path=str(self._paths.root),
            )

    def _bring_layers(
        self, session: Session, reference: Reference, manifest: Manifest, config: ImageConfig
    ) -> list[LayerRow]:
        plans = plan_layers(manifest, config)
        with Workers(PARALLEL, self._on_progress, self._client.abort) as workers:
            unpacker = LayerUnpacker(self._paths, self._jobs, session, workers.emit)
            downloads = Downloads(self._client, reference.path, self._blobs, session, workers)
            for plan in plans:
                workers.emit(_event(plan.descriptor, "waiting", 0))
            futures = [workers.submit(_bring, plan, downloads, unpacker, workers) for plan in plans]
            rows = []
            for plan, future in zip(plans, futures, strict=True):
                workers.result(future)
                rows.append(unpacker.commit(plan, plans[: plan.index]))
            workers.drain()
        return rows

    def _record(
        self,
        reference: Reference,
        resolved: Resolved,
        config: ImageConfig,
        rows: list[LayerRow],
    ) -> None:
        remote, manifest = resolved.remote, resolved.manifest
        self._index.add(
            name_row(reference, resolved.repo_digest, remote.digest),
            manifest_row(remote.descriptor, manifest, config),
            rows,
        )


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
                self._workers.emit(_event(descriptor, "downloading", current))

        tell(0)
        fetch_blob(self._client, self._repository, descriptor, self._blobs, self._session, tell)
        self._workers.emit(_event(descriptor, "verifying", descriptor.size))


def _bring(
    plan: LayerPlan,
    downloads: Downloads,
    unpacker: LayerUnpacker,
    workers: Workers[PullProgress],
) -> None:
    """One layer from nothing to unpacked; runs in a worker."""
    fetched = downloads.fetch(plan.descriptor, trusted=unpacker.has(plan))
    unpacked = unpacker.unpack(plan)
    phase = "done" if fetched or unpacked else "exists"
    workers.emit(_event(plan.descriptor, phase, plan.descriptor.size))


def name_row(reference: Reference, repo_digest: str, manifest_digest: str) -> NameRow:
    return NameRow(
        reference=reference.full,
        familiar=str(reference),
        repository=reference.repository,
        tag=reference.tag or "",
        repo_digest=repo_digest,
        manifest_digest=manifest_digest,
    )


def manifest_row(descriptor: Descriptor, manifest: Manifest, config: ImageConfig) -> ManifestRow:
    return ManifestRow(
        digest=descriptor.digest,
        media_type=descriptor.media_type,
        size=descriptor.size,
        config_digest=manifest.config.digest,
        config_size=manifest.config.size,
        platform=str(config.platform),
        created=config.created,
    )


def _event(descriptor: Descriptor, phase: str, current: int) -> PullProgress:
    return PullProgress(
        digest=descriptor.digest, phase=phase, current=current, total=descriptor.size
    )


def blob_digests(manifest: Manifest) -> set[str]:
    """The config's and the layers'."""
    return {manifest.config.digest, *(layer.digest for layer in manifest.layers)}


def _free_bytes(paths: Paths) -> int:
    status = os.statvfs(paths.root)
    return status.f_bavail * status.f_frsize
