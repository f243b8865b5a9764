"""The store seen as an OCI image layout: `oci-layout` and `index.json`, derived from the database.

Each image is listed under its familiar name (`org.opencontainers.image.ref.name`), so that
`skopeo inspect oci:ROOT:busybox:latest` finds it as it lies.

Source: OCI image-spec 1.1, image-layout.md.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from .. import errors
from ..oci.image import Descriptor, Index
from ..paths import Paths

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
GENERATION = "io.pydock.generation"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def generation(paths: Paths) -> int | None:
    """Which generation of the database index.json shows; None when it is missing or broken."""
    try:
        index = msgspec.json.decode((paths.root / "index.json").read_bytes(), type=Index)
        return int(index.annotations[GENERATION])
    except (OSError, msgspec.DecodeError, KeyError, ValueError):
        return None


def write(paths: Paths, number: int, manifests: tuple[Descriptor, ...]) -> None:
    """Puts an index.json of `manifests` in place, whole; a reader sees the old or the new one.

    The caller holds the database's write transaction, so there is one writer at a time and a
    leftover of a killed one is overwritten.
    """
    index = Index(manifests=manifests, annotations={GENERATION: str(number)})
    try:
        if not (paths.root / "oci-layout").exists():
            _replace(paths.root / "oci-layout", LAYOUT)
        _replace(paths.root / "index.json", msgspec.json.format(msgspec.json.encode(index)))
    except OSError as error:
        raise errors.disk_error(error, paths.root) from error


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.new")
    partial.write_bytes(data)
    os.rename(partial, path)
