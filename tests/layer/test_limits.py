"""What stops a layer before the disk is full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydock_engine.errors import DiskFull
from pydock_engine.layer.limits import Budget, Limits

MIB = 1 << 20


class Disk:
    """A file system with `free` bytes, as statvfs tells it."""

    f_frsize = 1
    f_files = 100
    f_favail = 50

    def __init__(self, free: int, blocks: int = 1000 * MIB) -> None:
        self.f_bavail = free
        self.f_blocks = blocks


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(1000 * MIB)
    monkeypatch.setattr(os, "statvfs", lambda fd: disk)
    return disk


def budget(reserve_bytes: int) -> Budget:
    return Budget(Limits(reserve_bytes=reserve_bytes), -1, str(Path("/store")))


def test_reserve_stays_free_for_others(disk: Disk) -> None:
    layer = budget(40 * MIB)
    layer.take_tar(1)
    disk.f_bavail = 39 * MIB
    layer.take_tar(MIB)  # not looked at for every byte
    with pytest.raises(DiskFull, match="no room left on the disk of /store"):
        layer.take_tar(40 * MIB)


def test_reserve_is_small_on_a_small_disk(disk: Disk) -> None:
    disk.f_bavail = disk.f_blocks // 10
    budget(1 << 40).take_tar(1)
    disk.f_bavail = disk.f_blocks // 25
    with pytest.raises(DiskFull):
        budget(1 << 40).take_tar(1)


def test_entries_take_room_and_inodes(disk: Disk) -> None:
    layer = budget(0)
    layer.take_entries(1)
    disk.f_favail = 0
    with pytest.raises(DiskFull):
        layer.take_entries(100_000)


def test_limit_grows_with_the_compressed_layer() -> None:
    assert Limits(tar_bytes=1000).for_blob(10).tar_bytes == 11_000
    assert Limits(tar_bytes=1000).for_blob(0).tar_bytes == 1000
