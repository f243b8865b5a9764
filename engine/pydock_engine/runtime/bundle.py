"""A bundle: a folder with config.json. Reads the document; lifecycle/ makes containers of it.

What a document asks for beyond what this runtime does is refused, never left out.
Source: runtime-spec bundle.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ..errors import Unsupported, UsageError
from ..oci.runtime import Mount, Spec

MAX_CONFIG_BYTES = 4 * 1024 * 1024


def load_spec(bundle: Path) -> Spec:
    """The bundle's config.json. Raises UsageError when it is not one, Unsupported for a field
    that this runtime does not know (naming it).
    """
    path = bundle / "config.json"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise UsageError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes")
    try:
        raw = without_nulls(msgspec.json.decode(data))
        spec = msgspec.convert(raw, Spec)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path} is no runtime-spec document: {error}") from error
    if unknown := _unknown_field(raw, msgspec.json.decode(msgspec.json.encode(spec))):
        raise Unsupported(f"{path}: {unknown} is not supported")
    if not spec.process.args:
        raise UsageError(f"{path}: process.args is empty")
    mounts = tuple(_from_bundle(mount, bundle) for mount in spec.mounts)
    root = msgspec.structs.replace(spec.root, path=str(bundle.absolute() / spec.root.path))
    return msgspec.structs.replace(spec, root=root, mounts=mounts)


def _from_bundle(mount: Mount, bundle: Path) -> Mount:
    """A relative source of a bind starts at the bundle."""
    if mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options:
        return msgspec.structs.replace(mount, source=str(bundle.absolute() / mount.source))
    return mount


def without_nulls(value: Any) -> Any:
    """Go writes null for a list that is empty."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _carries(value: Any) -> bool:
    """Whether it says anything: docker writes out many fields that do not."""
    return any(map(_carries, value.values())) if isinstance(value, dict) else bool(value)


def _unknown_field(raw: Any, known: Any, where: str = "") -> str:
    """The first field that carries something and was not taken up, as a dotted path."""
    if isinstance(raw, dict):
        for name, value in raw.items():
            path = f"{where}.{name}" if where else name
            if not isinstance(known, dict) or name not in known:
                if _carries(value):
                    return path
            elif found := _unknown_field(value, known[name], path):
                return found
    if isinstance(raw, list) and isinstance(known, list):
        for index, (value, taken) in enumerate(zip(raw, known, strict=False)):
            if found := _unknown_field(value, taken, f"{where}[{index}]"):
                return found
    return ""
