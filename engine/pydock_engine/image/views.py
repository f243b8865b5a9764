"""Records of one image, made from its documents: history, layers, docker's inspect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..oci.image import ContainerConfig, History
from ..store.images import LayerRow, NameRow
from .records import HistoryEntry, LayerInfo
from .reference import familiar_repository
from .stored import StoredImage

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time, which docker shows when nothing is known."""


def history(image: StoredImage) -> list[HistoryEntry]:
    """One entry per `history` item, oldest first; layers no item tells of follow by themselves.

    Source: OCI image-spec 1.1, config.md, property "history".
    """
    layers = iter(image.layers)
    found = []
    for item in image.config.history or ():
        layer = None if item.empty_layer else next(layers, None)
        found.append(_history_entry(item, layer))
    found.extend(_history_entry(History(), layer) for layer in layers)
    return found


def layers(image: StoredImage, shared: Mapping[str, Sequence[str]]) -> list[LayerInfo]:
    """Bottom first; `shared` tells for each chain id which other images have it."""
    told = [entry.created_by for entry in history(image) if not entry.empty_layer]
    return [
        LayerInfo(
            index=index,
            digest=layer.digest,
            diff_id=layer.diff_id,
            chain_id=layer.chain_id,
            size_bytes=layer.size_bytes,
            compressed_bytes=layer.compressed_bytes,
            files=layer.files,
            created_by=told[index],
            shared_with=tuple(shared.get(layer.chain_id, ())),
            media_type=layer.media_type,
        )
        for index, layer in enumerate(image.layers)
    ]


def inspect(image: StoredImage, names: Sequence[NameRow]) -> dict[str, Any]:
    """What `docker image inspect` says, by docker's names; storage driver facts are left out.

    Source: Docker Engine API 1.43, "ImageInspect".
    """
    config = image.config
    tags = [name.familiar for name in names if name.tag]
    digests = {f"{familiar_repository(n.repository)}@{n.repo_digest}" for n in names}
    return {
        "Id": image.id,
        "RepoTags": tags,
        "RepoDigests": sorted(digests),
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created or NEVER,
        "Author": config.author,
        "Config": _container_config(config.config or ContainerConfig()),
        "Architecture": config.architecture,
        "Variant": config.variant or "",
        "Os": config.os,
        "Size": sum(layer.size_bytes for layer in image.layers),
        "RootFS": {"Type": "layers", "Layers": list(config.rootfs.diff_ids)},
        "Descriptor": {
            "mediaType": image.manifest.media_type,
            "digest": image.digest,
        },
    }


def _history_entry(item: History, layer: LayerRow | None) -> HistoryEntry:
    return HistoryEntry(
        created=item.created,
        created_by=item.created_by,
        size_bytes=layer.size_bytes if layer else None,
        diff_id=layer.diff_id if layer else None,
        digest=layer.digest if layer else None,
        empty_layer=layer is None,
        comment=item.comment,
    )


def _container_config(config: ContainerConfig) -> dict[str, Any]:
    """The image's `config`, with the keys docker always shows."""
    shown: dict[str, Any] = {
        "User": config.user,
        "Env": list(config.env or ()),
        "Entrypoint": list(config.entrypoint) if config.entrypoint is not None else None,
        "Cmd": list(config.cmd) if config.cmd is not None else None,
        "WorkingDir": config.working_dir,
        "ExposedPorts": config.exposed_ports,
        "Volumes": config.volumes,
        "Labels": config.labels,
        "OnBuild": list(config.on_build) if config.on_build else None,
        "StopSignal": config.stop_signal,
        "Shell": list(config.shell) if config.shell else None,
        "Healthcheck": msgspec.to_builtins(config.healthcheck) if config.healthcheck else None,
    }
    always = ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "Volumes", "OnBuild")
    return {key: value for key, value in shown.items() if value or key in always}
