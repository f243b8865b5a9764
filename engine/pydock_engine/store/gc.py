"""Mark and sweep: whatever no image, container or living pull needs leaves the disk.

A sweep is safe beside pulls: they lease what they need in the database before they look whether it
is here, and a sweep takes things out of sight while it holds the same database's write transaction.
Trees are deleted afterwards by a job, as their files may belong to other ids. A kill at any line
leaves garbage only, which the next sweep finds.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from ..paths import Paths
from . import digest as digests
from . import session
from .cas import BlobStore
from .database import Database


def lease(database: Database, name: str, items: set[str]) -> None:
    """Keeps `items` (digests and chain ids) from being swept while session `name` lives."""
    with database.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO leases VALUES (?, ?)", [(name, item) for item in sorted(items)]
        )


def release(database: Database, name: str) -> None:
    with database.transaction() as connection:
        connection.execute("DELETE FROM leases WHERE session = ?", (name,))


def sweep(database: Database, paths: Paths) -> tuple[list[Path], int]:
    """Deletes unneeded blobs and hides unneeded layers.

    Returns
    -------
    tuple of (folders for a RemoveTrees job that nobody writes to, bytes of blobs freed)
    """
    blobs = BlobStore(paths)
    with database.transaction() as connection:
        _forget_dead_leases(connection, paths)
        needed = _needed(connection)
        freed = sum(blobs.delete(d) for d in _blobs(blobs) if d not in needed)
        unneeded = [paths.layer(chain) for chain in _chains(paths) if chain not in needed]
        doomed = [session.doom(path, paths) for path in unneeded]
    return [path for path in doomed if path is not None], freed


def leftovers(paths: Paths) -> list[Path]:
    """Removes dead ingest folders; the dead layer folders are returned for a RemoveTrees job.

    A job that has outlived its client may still write to one of them for a moment: removing it
    may fail now and will not later.
    """
    for name in session.dead_sessions(paths):
        shutil.rmtree(paths.ingest / name, ignore_errors=True)
    found = []
    for path in session.leftover_layers(paths):
        doomed = path if path.name.endswith(session.DOOMED) else session.doom(path, paths)
        if doomed is not None:
            found.append(doomed)
    return found


def _needed(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute(
        """SELECT digest FROM manifests UNION SELECT config_digest FROM manifests
           UNION SELECT digest FROM image_layers UNION SELECT chain_id FROM image_layers
           UNION SELECT item FROM leases"""
    )
    return {row[0] for row in rows}


def _forget_dead_leases(connection: sqlite3.Connection, paths: Paths) -> None:
    for (name,) in connection.execute("SELECT DISTINCT session FROM leases").fetchall():
        if not session.is_alive(paths, name):
            connection.execute("DELETE FROM leases WHERE session = ?", (name,))


def _blobs(blobs: BlobStore) -> list[str]:
    return [found for found in blobs.digests() if digests.is_valid(found)]


def _chains(paths: Paths) -> list[str]:
    names = os.listdir(paths.layers / "sha256")
    return [f"sha256:{name}" for name in names if digests.is_valid(f"sha256:{name}")]
