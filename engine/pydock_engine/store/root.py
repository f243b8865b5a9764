"""The store's folder itself: made on first use, refused where it cannot work."""

from __future__ import annotations

import os
from pathlib import Path

from .. import errors
from ..paths import Paths

NETWORK_FILESYSTEMS = frozenset(
    {"nfs", "nfs4", "lustre", "gpfs", "cifs", "smb3", "9p", "afs", "ceph", "beegfs", "fuse.sshfs"}
)
"""SQLite's locks are unreliable there and overlayfs takes no upper directory from them."""


def open_root(paths: Paths) -> None:
    """Makes the store's folders. Idempotent, safe with others doing the same.

    Raises
    ------
    StoreError, DiskFull
        It cannot be made, or lies on a network file system.
    """
    try:
        paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_network(paths.root)
        for folder in (paths.ingest, paths.blobs / "sha256", paths.layers / "sha256"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths.layers_ingest.mkdir(mode=0o700, exist_ok=True)
        paths.containers.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise errors.disk_error(error, paths.root) from error


def _refuse_network(root: Path) -> None:
    kind = filesystem_of(root)
    if kind in NETWORK_FILESYSTEMS:
        raise errors.StoreError(
            f"{root} lies on a {kind} file system, where images cannot be kept",
            way_out="set PYDOCK_ROOT to a folder on a local disk",
            filesystem=kind,
        )


def filesystem_of(path: Path, table: str | None = None) -> str:
    """The type of the file system `path` lies on, by device number; empty when unknown.

    `table` is the text of a mountinfo file, this process's own by default.
    Source: proc_pid_mountinfo(5).
    """
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    if table is None:
        table = Path("/proc/self/mountinfo").read_text(errors="replace")
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and fields[2] == wanted and "-" in fields:
            return fields[fields.index("-") + 1]
    return ""
