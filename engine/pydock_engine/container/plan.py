"""`plan.json`: what the engine decided at create, and the monitor carries out at start."""

from __future__ import annotations

import msgspec

from ..oci.image import ContainerConfig
from .records import ContainerRecord


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable once written. Whatever depends on the isolation level or on files in the image
    (users, id ranges, folders to make) is settled by the monitor, which sees both.
    """

    record: ContainerRecord
    image_config: ContainerConfig
    lower: tuple[str, ...]
    """Chain ids of the unpacked layers, topmost first (overlayfs order)."""
    extra_env: tuple[str, ...] = ()
    site_packages: tuple[str, ...] = ()
    """Host folders shown read-only for --with-env."""


def encode(plan: Plan) -> bytes:
    return msgspec.json.encode(plan)


def decode(data: bytes) -> Plan:
    return msgspec.json.decode(data, type=Plan)
