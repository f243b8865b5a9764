"""From a name in a registry to the one manifest that fits this machine."""

from __future__ import annotations

from dataclasses import dataclass

from .. import errors
from ..oci import media_types
from ..oci.image import Descriptor, Manifest, Platform
from ..registry.client import SCHEMA1, RegistryClient, RemoteManifest
from . import documents, platform
from .reference import Reference

MAX_DEPTH = 4
"""How many indexes may nest; real images have one, seldom two."""


@dataclass(frozen=True)
class Resolved:
    """What a name stands for in its registry now."""

    repo_digest: str
    """Digest behind the tag: of the index when there is one."""
    remote: RemoteManifest
    manifest: Manifest


def resolve(client: RegistryClient, reference: Reference, wanted: Platform) -> Resolved:
    """The manifest of `reference` for `wanted`.

    Raises
    ------
    PlatformMismatch
        The index has nothing for it.
    Unsupported
        Schema 1, or not an image.
    ImageNotFound, RegistryError, IntegrityError
        From the registry client.
    """
    name = str(reference)
    remote = client.manifest(reference.path, reference.registry_tag)
    repo_digest = remote.digest
    for _ in range(MAX_DEPTH):
        if remote.media_type not in media_types.INDEXES:
            return Resolved(repo_digest, remote, _manifest(remote, name))
        index = documents.parse_index(remote.data, name)
        entry = platform.choose(_images(index.manifests), wanted, name)
        remote = client.manifest(reference.path, entry.digest, entry.size)
    raise errors.RegistryError(
        f"the index of {name} leads to more than {MAX_DEPTH} further indexes", temporary=False
    )


def _images(entries: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
    """Entries that may be images: attestations and other artifacts are left out."""
    known = media_types.MANIFESTS | media_types.INDEXES
    return tuple(e for e in entries if e.media_type in known and not e.artifact_type)


def _manifest(remote: RemoteManifest, name: str) -> Manifest:
    if remote.media_type in SCHEMA1:
        raise documents.refuse_schema1(name)
    if remote.media_type not in media_types.MANIFESTS:
        raise errors.RegistryError(
            f"{name} has a manifest of the unknown type {remote.media_type[:100]!r}",
            temporary=False,
        )
    return documents.parse_manifest(remote.data, name)
