"""Documents of OCI image-spec 1.1: descriptor, manifest, index, config.

Docker's schema 2 manifests and lists decode into the same structs (their field names agree).
Unknown fields are kept out; whoever needs the original bytes reads the blob.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all documents: immutable, defaults left out when written."""


class Platform(Document, frozen=True, kw_only=True):
    architecture: str
    os: str
    os_version: str | None = msgspec.field(name="os.version", default=None)
    os_features: tuple[str, ...] = msgspec.field(name="os.features", default=())
    variant: str | None = None

    def __str__(self) -> str:
        parts = [self.os, self.architecture] + ([self.variant] if self.variant else [])
        return "/".join(parts)


class Descriptor(Document, frozen=True, kw_only=True, rename="camel"):
    """A typed pointer to bytes: `digest` and `size` (bytes) are checked whenever they are read."""

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    data: str | None = None
    artifact_type: str | None = None
    platform: Platform | None = None


class Manifest(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    schema_version: int = 2
    media_type: str = "application/vnd.oci.image.manifest.v1+json"
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class Index(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    schema_version: int = 2
    media_type: str = "application/vnd.oci.image.index.v1+json"
    manifests: tuple[Descriptor, ...] = ()
    annotations: dict[str, str] = {}


class Healthcheck(Document, frozen=True, kw_only=True, rename="pascal"):
    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(Document, frozen=True, kw_only=True, rename="pascal"):
    """`config` of an image config: how a container of it is run unless asked otherwise."""

    user: str = ""
    exposed_ports: dict[str, Any] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    shell: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] | None = None


class RootFS(Document, frozen=True, kw_only=True):
    type: str = "layers"
    diff_ids: tuple[str, ...] = ()


class History(Document, frozen=True, kw_only=True):
    created: str | None = None
    author: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(Document, frozen=True, kw_only=True, omit_defaults=False):
    """The config blob; its digest is the image's id."""

    architecture: str
    os: str
    rootfs: RootFS
    created: str | None = None
    author: str = ""
    variant: str | None = None
    os_version: str | None = msgspec.field(name="os.version", default=None)
    config: ContainerConfig | None = None
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> Platform:
        return Platform(
            architecture=self.architecture,
            os=self.os,
            variant=self.variant or None,
            os_version=self.os_version,
        )
