"""Manifests, indexes and configs as they come from outside: decoded, and refused when they lie."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from .. import errors
from ..oci import media_types
from ..oci.image import Descriptor, ImageConfig, Index, Manifest
from ..store import digest as digests
from ..store.cas import DOCUMENT_LIMIT

MAX_LAYERS = 500
"""overlayfs takes at most 500 lower folders (fs/overlayfs/params.h, OVL_MAX_STACK)."""

MAX_LAYER_BYTES = 1 << 40
LAYERS = frozenset(
    {
        media_types.OCI_LAYER,
        media_types.OCI_LAYER_GZIP,
        media_types.OCI_LAYER_ZSTD,
        media_types.DOCKER_LAYER,
        media_types.DOCKER_LAYER_GZIP,
        media_types.DOCKER_LAYER_ZSTD,
    }
)

T = TypeVar("T", Manifest, Index, ImageConfig)


def parse_index(data: bytes, name: str) -> Index:
    """An index or manifest list. Raises RegistryError when it is not one."""
    index = _decode(data, Index, f"the index of {name}")
    for entry in index.manifests:
        _check_descriptor(entry, f"the index of {name}", DOCUMENT_LIMIT)
    return index


def parse_manifest(data: bytes, name: str) -> Manifest:
    """A manifest of a container image.

    Raises
    ------
    RegistryError
        It is malformed.
    Unsupported
        It describes something else (a chart, a signature…), or layers nobody here can unpack.
    """
    manifest = _decode(data, Manifest, f"the manifest of {name}")
    _check_descriptor(manifest.config, f"the manifest of {name}", DOCUMENT_LIMIT)
    if manifest.config.media_type not in media_types.CONFIGS:
        raise errors.Unsupported(
            f"{name} is not a container image but holds {_shown(manifest.config.media_type)}",
            way_out="choose the name of an image; this tool runs nothing else",
        )
    if len(manifest.layers) > MAX_LAYERS:
        raise errors.Unsupported(f"{name} has {len(manifest.layers)} layers; {MAX_LAYERS} is most")
    for layer in manifest.layers:
        _check_descriptor(layer, f"the manifest of {name}", MAX_LAYER_BYTES)
        if layer.media_type not in LAYERS:
            raise errors.Unsupported(
                f"{name} has a layer of type {_shown(layer.media_type)}, which cannot be unpacked",
                media_type=layer.media_type,
            )
    return manifest


def parse_config(data: bytes, manifest: Manifest, name: str) -> ImageConfig:
    """The config that belongs to `manifest`: one diff_id for each layer."""
    config = _decode(data, ImageConfig, f"the config of {name}")
    diff_ids = config.rootfs.diff_ids
    if config.rootfs.type != "layers" or len(diff_ids) != len(manifest.layers):
        raise errors.IntegrityError(
            f"{name} lists {len(manifest.layers)} layers and {len(diff_ids)} diff_ids"
        )
    for diff_id in diff_ids:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", diff_id):
            raise errors.IntegrityError(f"{name} has a diff_id that is no digest: {diff_id[:80]!r}")
    return config


def refuse_schema1(name: str) -> errors.Unsupported:
    return errors.Unsupported(
        f"{name} is stored in Docker's schema 1, a format given up in 2017",
        way_out="push the image again with a current tool, or choose a newer tag",
    )


def _decode(data: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.RegistryError(f"{what} is malformed: {error}", temporary=False) from error


def _check_descriptor(descriptor: Descriptor, where: str, limit: int) -> None:
    try:
        digests.check(descriptor.digest)
    except errors.IntegrityError as error:
        raise errors.IntegrityError(f"{where} is malformed: {error.message}") from error
    if not 0 <= descriptor.size <= limit:
        raise errors.IntegrityError(
            f"{where} gives {descriptor.digest} the impossible size {descriptor.size}"
        )


def _shown(media_type: str) -> str:
    return repr(media_type[:100])
