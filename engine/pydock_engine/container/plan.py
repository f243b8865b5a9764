"""`plan.json`: what the engine decided at create, and the monitor carries out at start."""

from __future__ import annotations

import os

import msgspec

from ..errors import StoreError, disk_error
from ..oci.image import ContainerConfig
from ..paths import ContainerPaths
from .records import ContainerRecord

MAX_PLAN_BYTES = 8 << 20


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


def write_plan(paths: ContainerPaths, plan: Plan) -> None:
    """Writes the plan of a container that is being made. Raises StoreError, DiskFull."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(paths.base / "plan.json", flags, 0o600), "wb") as file:
            file.write(encode(plan))
    except OSError as error:
        raise disk_error(error, paths.base) from error


def read_plan(paths: ContainerPaths) -> Plan:
    """The plan of a container.

    Raises
    ------
    StoreError
        It is missing or damaged; all that can be done with the container is to remove it.
    """
    file = paths.base / "plan.json"
    try:
        with open(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as opened:
            data = opened.read(MAX_PLAN_BYTES + 1)
        if len(data) > MAX_PLAN_BYTES:
            raise StoreError(f"{file} is too large", way_out="remove the container")
        return decode(data)
    except FileNotFoundError as error:
        raise StoreError(f"{file} is missing", way_out="remove the container") from error
    except msgspec.DecodeError as error:
        raise StoreError(f"{file} is damaged: {error}", way_out="remove the container") from error
