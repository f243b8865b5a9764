"""What the index is told of an image, made from its documents."""

from __future__ import annotations

from ..oci.image import Descriptor, ImageConfig, Manifest
from ..store.images import ManifestRow, NameRow
from .reference import Reference


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


def blob_digests(manifest: Manifest) -> set[str]:
    """The config's and the layers'."""
    return {manifest.config.digest, *(layer.digest for layer in manifest.layers)}
