"""How much a layer may take: a few kilobytes of gzip can ask for all of a disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from ..errors import DiskFull, LayerError

_LARGEST_RATIO: Final = 1100
"""Deflate cannot reach more than 1032:1; zstd can, but no real layer does at this size."""
_CHECK_EVERY_BYTES: Final = 32 * 1024 * 1024
_ENTRY_BYTES: Final = 4096  # what an entry takes on disk beside its data: an inode, often a block


@dataclass(frozen=True)
class Limits:
    """Bounds of one layer. A layer within them may still meet a full disk: see `Budget`."""

    tar_bytes: int = 16 << 30
    """Uncompressed, unless the compressed layer is so large that deflate explains more."""
    entries: int = 4_000_000
    """Folders that are only implied included."""
    reserve_bytes: int = 256 << 20
    """Left free on the disk (at most a twentieth of it): others live there, too."""

    def for_blob(self, compressed_bytes: int) -> Limits:
        tar_bytes = max(self.tar_bytes, compressed_bytes * _LARGEST_RATIO)
        return Limits(tar_bytes, self.entries, self.reserve_bytes)


class Budget:
    """Counts what one layer takes from the disk of `dir_fd`; raises before too much is gone."""

    def __init__(self, limits: Limits, dir_fd: int, where: str) -> None:
        self._limits = limits
        self._dir_fd = dir_fd
        self._where = where
        self._since_check = _CHECK_EVERY_BYTES
        self.tar_bytes = 0
        self.entries = 0

    def take_tar(self, size: int) -> None:
        """`size` more bytes came out of the decompressor."""
        self.tar_bytes += size
        if self.tar_bytes > self._limits.tar_bytes:
            raise LayerError(
                f"the layer unpacks to more than {self._limits.tar_bytes} bytes",
                way_out="an image like this is made to fill disks; use another one",
            )
        self._spend(size)

    def take_entries(self, count: int) -> None:
        self.entries += count
        if self.entries > self._limits.entries:
            raise LayerError(f"the layer has more than {self._limits.entries} entries")
        self._spend(count * _ENTRY_BYTES)

    def _spend(self, size: int) -> None:
        self._since_check += size
        if self._since_check < _CHECK_EVERY_BYTES:
            return
        self._since_check = 0
        disk = os.statvfs(self._dir_fd)
        reserve = min(self._limits.reserve_bytes, disk.f_blocks * disk.f_frsize // 20)
        if disk.f_bavail * disk.f_frsize < reserve or (disk.f_files and not disk.f_favail):
            raise DiskFull(
                f"no room left on the disk of {self._where}",
                way_out="free some space (`%image ls`, `%image rm`) "
                "or set PYDOCK_ROOT to a larger disk",
                path=self._where,
            )
