"""`pull`: resolve, fetch, unpack, commit, record. Either all of it happens or none of it shows.

Order of events for a layer: waiting, then downloading…, verifying, unpacking…, done, or `exists`.
"""

from __future__ import annotations

import os

from .. import errors
from ..oci.image import Descriptor, ImageConfig, Manifest, Platform
from ..paths import Paths
from ..registry.client import RegistryClient, RemoteManifest
from ..store import gc
from ..store.cas import BlobStore
from ..store.database import Database
from ..store.images import ImageIndex, LayerRow
from ..store.session import Session, open_session
from . import documents, platform
from .chain import chain_ids
from .jobs import JobRunner
from .records import OnProgress, PullProgress
from .reference import Reference
from .resolve import Resolved, resolve
from .rows import blob_digests, manifest_row, name_row
from .transfer import Downloads, event_of, fetch_blob
from .unpack import LayerPlan, LayerUnpacker, plan_layers
from .workers import Workers

PARALLEL = 6
"""Layers under way at once: enough to hide latency, few enough for a registry's limits."""


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
                workers.emit(event_of(plan.descriptor, "waiting", 0))
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
    workers.emit(event_of(plan.descriptor, phase, plan.descriptor.size))


def _free_bytes(paths: Paths) -> int:
    status = os.statvfs(paths.root)
    return status.f_bavail * status.f_frsize
