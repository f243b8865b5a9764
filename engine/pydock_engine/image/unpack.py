"""Layers of one image on their way into the store: unpacked in parallel, put in place bottom up."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from .. import errors
from ..oci.image import Descriptor, ImageConfig, Manifest
from ..paths import Paths
from ..protocol.messages import CommitLayer, Progress, UnpackLayer
from ..store.cas import BlobStore
from ..store.images import LayerRow
from ..store.session import Session
from . import jobs as job_door
from .chain import chain_ids
from .jobs import JobRunner
from .records import LayerRecord, PullProgress

Emit = Callable[[PullProgress], None]
LAYER_JSON_LIMIT = 64 << 20


@dataclass(frozen=True)
class LayerPlan:
    """One layer: what travels, and where it belongs."""

    index: int
    descriptor: Descriptor
    diff_id: str
    chain_id: str


def plan_layers(manifest: Manifest, config: ImageConfig) -> tuple[LayerPlan, ...]:
    """Bottom first."""
    diff_ids = config.rootfs.diff_ids
    chains = chain_ids(diff_ids)
    return tuple(
        LayerPlan(index, descriptor, diff_ids[index], chains[index])
        for index, descriptor in enumerate(manifest.layers)
    )


def read_record(paths: Paths, chain_id: str) -> LayerRecord | None:
    """What is known of an unpacked layer; None when it is not here (whole)."""
    try:
        with open(paths.layer(chain_id) / "layer.json", "rb") as file:
            return msgspec.json.decode(file.read(LAYER_JSON_LIMIT), type=LayerRecord)
    except (OSError, msgspec.DecodeError):
        return None


class LayerUnpacker:
    """Runs the jobs of one pull. `unpack` is called from workers, `commit` from one thread."""

    def __init__(self, paths: Paths, jobs: JobRunner, session: Session, emit: Emit) -> None:
        self._paths = paths
        self._blobs = BlobStore(paths)
        self._jobs = jobs
        self._session = session
        self._emit = emit
        self._slots = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))

    def has(self, plan: LayerPlan) -> bool:
        """Whether the layer is unpacked already, on top of the same layers."""
        return read_record(self._paths, plan.chain_id) is not None

    def unpack(self, plan: LayerPlan) -> bool:
        """Unpacks the layer's blob into the session; False when its chain is here already.

        Raises
        ------
        LayerError, IntegrityError, DiskFull
            From the job: an unsafe layer, one that is not its diff_id, no room.
        """
        if self.has(plan):
            return False
        request = UnpackLayer(
            media_type=plan.descriptor.media_type,
            diff_id=plan.diff_id,
            target=str(self._session.layer(str(plan.index))),
            blob=str(self._blobs.path(plan.descriptor.digest)),
        )

        def tell(progress: Progress) -> None:
            self._emit(
                PullProgress(
                    digest=plan.descriptor.digest,
                    phase="unpacking",
                    current=progress.current,
                    total=progress.total,
                )
            )

        with self._slots:
            job_door.run(self._jobs, request, tell)
        return True

    def commit(self, plan: LayerPlan, parents: tuple[LayerPlan, ...]) -> LayerRow:
        """Puts the unpacked layer in its place; `parents` are the layers below, bottom first."""
        source = self._session.layer(str(plan.index))
        if source.exists():
            request = CommitLayer(
                source=str(source),
                destination=str(self._paths.layer(plan.chain_id)),
                parents=tuple(str(self._paths.layer(p.chain_id)) for p in reversed(parents)),
            )
            job_door.run(self._jobs, request)
        record = read_record(self._paths, plan.chain_id)
        if record is None:
            raise errors.StoreError(f"the layer {plan.chain_id} was unpacked and is not there")
        return LayerRow(
            digest=plan.descriptor.digest,
            media_type=plan.descriptor.media_type,
            compressed_bytes=plan.descriptor.size,
            diff_id=plan.diff_id,
            chain_id=plan.chain_id,
            size_bytes=record.size_bytes,
            files=record.files,
        )
