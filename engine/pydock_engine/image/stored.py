"""`StoredImage`: one image of the store, opened by name; and how a name is looked up."""

from __future__ import annotations

import msgspec

from .. import errors
from ..oci.image import Descriptor, ImageConfig, Manifest
from ..store.cas import BlobStore
from ..store.images import ImageIndex, LayerRow, ManifestRow, NameRow
from . import documents, reference


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """What running or showing an image needs; its layers are unpacked."""

    reference: str
    """Familiar form of the name it was found by, else its short id."""
    id: str
    """Digest of the config blob."""
    digest: str
    """Digest of the manifest."""
    manifest: Manifest
    config: ImageConfig
    layers: tuple[LayerRow, ...]

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """Bottom first."""
        return tuple(layer.chain_id for layer in self.layers)


def short_id(digest: str) -> str:
    """Docker's twelve digits of an id."""
    return digest.partition(":")[2][:12]


class Found(msgspec.Struct, frozen=True):
    """What a text names: an image, and the name when it was called by one."""

    manifest: ManifestRow
    name: NameRow | None


def find(index: ImageIndex, text: str) -> Found:
    """The image called `text`: familiar or full name, name@digest, digest, id or its beginning.

    Raises
    ------
    InvalidReference
        `text` cannot be any of these.
    UsageError
        An id that several images begin with.
    ImageNotFound
        Nothing here is called that.
    """
    found = _by_name(index, text) or _by_digest(index, text)
    if found is None:
        raise _unknown(text)
    return found


def open_stored(index: ImageIndex, blobs: BlobStore, found: Found) -> StoredImage:
    """Reads (and checks) manifest and config. Raises BlobNotFound or IntegrityError."""
    row = found.manifest
    name = found.name.familiar if found.name else short_id(row.config_digest)
    descriptor = Descriptor(media_type=row.media_type, digest=row.digest, size=row.size)
    manifest = documents.parse_manifest(blobs.read(descriptor), name)
    config = documents.parse_config(blobs.read(manifest.config), manifest, name)
    return StoredImage(
        reference=name,
        id=row.config_digest,
        digest=row.digest,
        manifest=manifest,
        config=config,
        layers=tuple(index.layers(row.digest)),
    )


def _by_name(index: ImageIndex, text: str) -> Found | None:
    try:
        parsed = reference.parse(text)
    except errors.InvalidReference:
        if reference.id_prefix(text) or reference.is_digest(text):
            return None
        raise
    if parsed.digest is None:
        name = index.name(parsed.full)
    else:
        same = [n for n in index.names() if n.repository == parsed.repository]
        wanted = [n for n in same if parsed.digest in (n.repo_digest, n.manifest_digest)]
        name = wanted[0] if wanted else None
    return _with_manifest(index, name) if name else None


def _by_digest(index: ImageIndex, text: str) -> Found | None:
    names = index.names()
    manifests = index.manifests()
    if reference.is_digest(text):
        repo = {n.manifest_digest for n in names if n.repo_digest == text}
        exact = [m for m in manifests if text in (m.digest, m.config_digest) or m.digest in repo]
        return Found(exact[0], _name_of(names, exact[0])) if exact else None
    prefix = reference.id_prefix(text)
    if prefix is None:
        return None
    matching = [m for m in manifests if m.config_digest.partition(":")[2].startswith(prefix)]
    if len({m.config_digest for m in matching}) > 1:
        ids = ", ".join(sorted(short_id(m.config_digest) for m in matching))
        raise errors.UsageError(f"several image ids begin with {text}: {ids}")
    return Found(matching[0], _name_of(names, matching[0])) if matching else None


def _with_manifest(index: ImageIndex, name: NameRow) -> Found | None:
    manifest = index.manifest(name.manifest_digest)
    return Found(manifest, name) if manifest else None


def _name_of(names: list[NameRow], manifest: ManifestRow) -> NameRow | None:
    return next((n for n in names if n.manifest_digest == manifest.digest), None)


def _unknown(text: str) -> errors.ImageNotFound:
    hint = reference.folder_hint(text)
    return errors.ImageNotFound(
        f"there is no image {text} here",
        way_out=hint or f"fetch it with `%image pull {text}`; `%image ls` lists what is here",
    )
