"""Which of an image's variants fits this machine.

Source: OCI image-spec 1.1, image-index.md (platform variants); names are Go's GOOS and GOARCH.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from .. import errors
from ..oci.image import Descriptor, Platform

_MACHINES = {
    "x86_64": ("amd64", None),
    "aarch64": ("arm64", "v8"),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "i686": ("386", None),
    "i386": ("386", None),
    "loongarch64": ("loong64", None),
}
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm"}
_DEFAULT_VARIANT = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
_PART = re.compile(r"[A-Za-z0-9_.-]+")


def host_platform() -> Platform:
    """What programs of this machine are built for."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, None))
    return Platform(architecture=architecture, os="linux", variant=variant)


def parse_platform(text: str) -> Platform:
    """`linux/arm/v7`, `linux/amd64` or `arm64` as a value; raises UsageError otherwise."""
    parts = text.lower().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts]
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        raise errors.UsageError(
            f"{text!r} is not a platform", way_out="platforms look like linux/amd64 or linux/arm/v7"
        )
    system, architecture, *variant = parts
    architecture = _ALIASES.get(architecture, architecture)
    return Platform(architecture=architecture, os=system, variant=variant[0] if variant else None)


def rank(offered: Platform, wanted: Platform) -> int | None:
    """How well `offered` serves `wanted`: 0 is exact, higher is older; None is not at all.

    A machine runs older variants of its architecture (arm v7 runs v6 and v5), never newer ones.
    """
    if offered.os != wanted.os:
        return None
    architecture = _ALIASES.get(offered.architecture, offered.architecture)
    if architecture != wanted.architecture:
        return None
    has, needs = _level(offered), _level(wanted)
    if has is None or needs is None:
        return 0 if offered.variant == wanted.variant else None
    return round(100 * (needs - has)) if has <= needs else None


def _level(platform: Platform) -> float | None:
    """The number in a variant (`v8.2` → 8.2), architecture's default when there is none."""
    architecture = _ALIASES.get(platform.architecture, platform.architecture)
    variant = platform.variant or _DEFAULT_VARIANT.get(architecture, "v0")
    match = re.fullmatch(r"v?(\d+(?:\.\d+)?)", variant)
    return float(match.group(1)) if match else None


def choose(entries: Iterable[Descriptor], wanted: Platform, name: str) -> Descriptor:
    """The entry of an index that serves `wanted` best; the first of equals.

    An entry without a platform is taken only when nothing else can be (its config tells later).

    Raises
    ------
    PlatformMismatch
        Names what the index does offer.
    """
    entries = tuple(entries)
    ranked = [
        (position, entry)
        for entry in entries
        if entry.platform and (position := rank(entry.platform, wanted)) is not None
    ]
    if ranked:
        return min(ranked, key=lambda pair: pair[0])[1]
    unnamed = [entry for entry in entries if entry.platform is None]
    if unnamed:
        return unnamed[0]
    offered = [str(e.platform) for e in entries if e.platform and e.platform.os != "unknown"]
    raise mismatch(name, wanted, offered)


def check(offered: Platform, wanted: Platform, name: str) -> None:
    """Raises PlatformMismatch unless an image of platform `offered` serves `wanted`."""
    if offered.architecture and offered.os and rank(offered, wanted) is None:
        raise mismatch(name, wanted, [str(offered)])


def mismatch(name: str, wanted: Platform, offered: list[str]) -> errors.PlatformMismatch:
    listed = ", ".join(sorted(set(offered))) or "no platform at all"
    return errors.PlatformMismatch(
        f"{name} is not made for {wanted}, only for {listed}",
        way_out="choose another tag, or fetch it all the same with `--platform`"
        if offered
        else "choose another tag",
        wanted=str(wanted),
        offered=listed,
    )
