"""An image made here, of layers that lie on this disk: a pull's last steps without a registry."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .. import errors
from ..oci import media_types
from ..oci.image import Descriptor, Manifest
from ..paths import Paths
from ..store import digest as digests
from ..store import gc
from ..store.cas import BlobStore
from ..store.database import Database
from ..store.images import ImageIndex, LayerRow
from ..store.session import Session, open_session
from . import documents
from .chain import chain_ids
from .jobs import JobRunner
from .records import OnProgress, PullProgress
from .reference import Reference
from .rows import blob_digests, manifest_row, name_row
from .unpack import LayerPlan, LayerUnpacker, plan_layers
from .workers import Workers


@dataclass(frozen=True)
class LayerSource:
    """One layer of a new image: a regular file nobody changes any more.

    `digest` is computed when empty. The file is copied into the store; the
    caller removes it.
    """

    path: Path
    diff_id: str
    media_type: str = media_types.OCI_LAYER
    digest: str = ""


class Addition:
    """One image on its way into the store. `run` once."""

    def __init__(
        self,
        paths: Paths,
        database: Database,
        jobs: JobRunner,
        on_progress: OnProgress | None,
    ) -> None:
        self._paths = paths
        self._database = database
        self._blobs = BlobStore(paths)
        self._jobs = jobs
        self._on_progress = on_progress or (lambda _: None)

    def run(
        self,
        reference: Reference,
        config: bytes,
        layers: Sequence[LayerSource],
        annotations: dict[str, str],
    ) -> str:
        """The manifest's digest, after the image is in the store under `reference`.

        Raises
        ------
        IntegrityError
            A layer is not its diff_id or digest, or the config lists others.
        LayerError, DiskFull, StoreError
            As in a pull.
        """
        manifest = Manifest(
            config=_descriptor(config, media_types.OCI_CONFIG),
            layers=tuple(_measure(layer) for layer in layers),
            annotations=annotations,
        )
        parsed = documents.parse_config(config, manifest, str(reference))
        if parsed.rootfs.diff_ids != tuple(layer.diff_id for layer in layers):
            raise errors.IntegrityError(f"the config of {reference} lists other diff_ids")
        data = msgspec.json.encode(manifest)
        descriptor = _descriptor(data, manifest.media_type)
        with open_session(self._paths) as session:
            chains = set(chain_ids(parsed.rootfs.diff_ids))
            needed = blob_digests(manifest) | chains | {descriptor.digest}
            gc.lease(self._database, session.name, needed)
            self._blobs.add(session, config, media_types.OCI_CONFIG)
            self._blobs.add(session, data, manifest.media_type)
            rows = self._unpack(session, plan_layers(manifest, parsed), layers)
            ImageIndex(self._database, self._paths).add(
                name_row(reference, descriptor.digest, descriptor.digest),
                manifest_row(descriptor, manifest, parsed),
                rows,
            )
            gc.release(self._database, session.name)
        return descriptor.digest

    def _unpack(
        self, session: Session, plans: tuple[LayerPlan, ...], layers: Sequence[LayerSource]
    ) -> list[LayerRow]:
        with Workers[PullProgress](
            len(os.sched_getaffinity(0)), self._on_progress, lambda: None
        ) as workers:
            unpacker = LayerUnpacker(self._paths, self._jobs, session, workers.emit)

            def bring(plan: LayerPlan, source: LayerSource) -> None:
                self._store(session, source, plan.descriptor)
                unpacker.unpack(plan)
                size = plan.descriptor.size
                workers.emit(
                    PullProgress(
                        digest=plan.descriptor.digest, phase="done", current=size, total=size
                    )
                )

            pairs = zip(plans, layers, strict=True)
            futures = [workers.submit(bring, plan, source) for plan, source in pairs]
            rows = []
            for plan, future in zip(plans, futures, strict=True):
                workers.result(future)
                rows.append(unpacker.commit(plan, plans[: plan.index]))
            workers.drain()
        return rows

    def _store(self, session: Session, source: LayerSource, descriptor: Descriptor) -> None:
        if self._blobs.has(descriptor):
            return
        with open(source.path, "rb") as file:
            with self._blobs.writer(session, descriptor) as writer:
                while chunk := file.read(digests.CHUNK):
                    writer.write(chunk)


def _descriptor(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=digests.of(data), size=len(data))


def _measure(source: LayerSource) -> Descriptor:
    digest = source.digest
    with open(source.path, "rb") as file:
        if not digest:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
    return Descriptor(media_type=source.media_type, digest=digest, size=size)
