"""Images out of a random generator: real documents and real layers, the same for the same seed."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from dataclasses import dataclass

import msgspec
import zstandard

from ..image.platform import host_platform
from ..oci import media_types
from ..oci.image import (
    ContainerConfig,
    Descriptor,
    History,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    RootFS,
)

CREATED = "2024-01-02T03:04:05Z"


@dataclass(frozen=True)
class MadeImage:
    """A manifest and every blob it points to."""

    manifest: bytes
    media_type: str
    config: bytes
    layers: tuple[bytes, ...]
    tars: tuple[bytes, ...]
    platform: Platform

    @property
    def digest(self) -> str:
        return _digest(self.manifest)

    @property
    def blobs(self) -> tuple[bytes, ...]:
        return (self.config, *self.layers)

    @property
    def descriptor(self) -> Descriptor:
        """An index's entry for it."""
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=len(self.manifest),
            platform=self.platform,
        )


def random_image(
    seed: int = 0,
    *,
    layers: int = 2,
    files: int = 3,
    file_bytes: int = 2000,
    compression: str = "gzip",
    docker: bool = False,
    platform: Platform | None = None,
) -> MadeImage:
    """An image of `layers` layers with `files` files each, of `file_bytes` incompressible bytes.

    `compression` is gzip, zstd or none; `docker` chooses schema 2's media types.
    """
    source = random.Random(seed)  # noqa: S311 - data for tests
    tars = tuple(_layer(source, number, files, file_bytes) for number in range(layers))
    return image_of(tars, compression=compression, docker=docker, platform=platform)


def image_of(
    tars: tuple[bytes, ...],
    *,
    compression: str = "gzip",
    docker: bool = False,
    platform: Platform | None = None,
) -> MadeImage:
    """An image of these uncompressed layers, bottom first."""
    platform = platform or host_platform()
    config = msgspec.json.encode(_config(tars, platform))
    packed = tuple(_compress(tar, compression) for tar in tars)
    layer_type = _layer_type(compression, docker=docker)
    media_type = media_types.DOCKER_MANIFEST if docker else media_types.OCI_MANIFEST
    manifest = Manifest(
        media_type=media_type,
        config=_descriptor(config, media_types.DOCKER_CONFIG if docker else media_types.OCI_CONFIG),
        layers=tuple(_descriptor(layer, layer_type) for layer in packed),
    )
    data = msgspec.json.encode(manifest)
    return MadeImage(data, media_type, config, packed, tars, platform)


def index_of(*images: MadeImage, docker: bool = False) -> tuple[bytes, str]:
    """An index of `images` and its media type."""
    media_type = media_types.DOCKER_INDEX if docker else media_types.OCI_INDEX
    entries = tuple(image.descriptor for image in images)
    return msgspec.json.encode(Index(media_type=media_type, manifests=entries)), media_type


def _config(tars: tuple[bytes, ...], platform: Platform) -> ImageConfig:
    return ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        created=CREATED,
        rootfs=RootFS(diff_ids=tuple(_digest(tar) for tar in tars)),
        config=ContainerConfig(cmd=("true",), env=("PATH=/bin",)),
        history=tuple(
            History(created=CREATED, created_by=f"layer {number}") for number in range(len(tars))
        ),
    )


def _layer(source: random.Random, number: int, files: int, file_bytes: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in range(files):
            info = tarfile.TarInfo(f"data/{number}/{file}")
            info.size = file_bytes
            archive.addfile(info, io.BytesIO(source.randbytes(file_bytes)))
    return buffer.getvalue()


def _compress(tar: bytes, compression: str) -> bytes:
    if compression == "none":
        return tar
    if compression == "zstd":
        return zstandard.ZstdCompressor(level=1).compress(tar)
    return gzip.compress(tar, compresslevel=1, mtime=0)


def _layer_type(compression: str, *, docker: bool) -> str:
    base = media_types.DOCKER_LAYER if docker else media_types.OCI_LAYER
    if compression == "none":
        return base
    return f"{base}{'.' if docker else '+'}{compression}"


def _descriptor(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=_digest(data), size=len(data))


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
