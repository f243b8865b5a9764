"""The image index: which names stand for which manifests, and which layers those have.

Every change is one transaction; index.json is written inside it, and a generation number in both
tells a later process when the two disagree (a kill between the write and the commit).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from ..oci.image import Descriptor, Platform
from ..paths import Paths
from . import layout
from .database import Database


class LayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of one image; sizes as LayerInfo has them."""

    digest: str
    media_type: str
    compressed_bytes: int
    diff_id: str
    chain_id: str
    size_bytes: int
    files: int


class ManifestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One image as it lies here, whatever it is called."""

    digest: str
    media_type: str
    size: int
    config_digest: str
    config_size: int
    platform: str
    """`os/architecture[/variant]`."""
    created: str | None


class NameRow(msgspec.Struct, frozen=True, kw_only=True):
    """One name: `reference` in full, `repo_digest` is what the registry has behind it."""

    reference: str
    familiar: str
    repository: str
    tag: str
    repo_digest: str
    manifest_digest: str


class ImageIndex:
    """Names, manifests and layers of one store."""

    def __init__(self, database: Database, paths: Paths) -> None:
        self._database = database
        self._paths = paths

    # -- reading -----------------------------------------------------------------------------

    def names(self) -> list[NameRow]:
        """Every name, by name."""
        rows = self._database.connect().execute(f"{_NAMES} ORDER BY familiar")
        return [_name(row) for row in rows]

    def manifests(self) -> list[ManifestRow]:
        """Every image, newest first."""
        rows = self._database.connect().execute(
            "SELECT * FROM manifests ORDER BY added_at DESC, digest"
        )
        return [_manifest(row) for row in rows]

    def manifest(self, digest: str) -> ManifestRow | None:
        rows = self._database.connect().execute(
            "SELECT * FROM manifests WHERE digest = ?", (digest,)
        )
        return next(map(_manifest, rows), None)

    def name(self, reference: str) -> NameRow | None:
        rows = self._database.connect().execute(f"{_NAMES} WHERE reference = ?", (reference,))
        return next(map(_name, rows), None)

    def layers(self, manifest_digest: str) -> list[LayerRow]:
        """Bottom first."""
        rows = self._database.connect().execute(
            "SELECT * FROM image_layers WHERE manifest_digest = ? ORDER BY position",
            (manifest_digest,),
        )
        return [_layer(row) for row in rows]

    def users_of_chains(self, manifest_digest: str) -> dict[str, list[str]]:
        """For each chain id of an image, the manifests of other images that have it too."""
        rows = self._database.connect().execute(
            """SELECT mine.chain_id, other.manifest_digest FROM image_layers mine
               JOIN image_layers other ON other.chain_id = mine.chain_id
               WHERE mine.manifest_digest = ?1 AND other.manifest_digest != ?1""",
            (manifest_digest,),
        )
        found: dict[str, list[str]] = {}
        for chain_id, other in rows:
            found.setdefault(chain_id, []).append(other)
        return found

    def containers_of(self, config_digest: str) -> list[str]:
        """Names of the containers made from an image."""
        rows = self._database.connect().execute(
            "SELECT name FROM containers WHERE image_id = ? ORDER BY name", (config_digest,)
        )
        return [row[0] for row in rows]

    # -- changing ----------------------------------------------------------------------------

    def add(self, name: NameRow, manifest: ManifestRow, layers: list[LayerRow]) -> None:
        """Records an image and lets `name` stand for it; the one it leaves stays, unnamed."""
        now = datetime.now(UTC).isoformat()
        with self._changing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*msgspec.structs.astuple(manifest), now),
            )
            for position, layer in enumerate(layers):
                connection.execute(
                    "INSERT OR REPLACE INTO image_layers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (manifest.digest, position, *msgspec.structs.astuple(layer)),
                )
            connection.execute(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*msgspec.structs.astuple(name), now),
            )

    def remove_name(self, reference: str) -> None:
        with self._changing() as connection:
            connection.execute("DELETE FROM images WHERE reference = ?", (reference,))

    def remove_manifest(self, digest: str) -> bool:
        """Forgets an image and all its names, unless a container uses it: then False."""
        try:
            with self._changing() as connection:
                if connection.execute(_USED, (digest,)).fetchone():
                    raise _InUse
                connection.execute("DELETE FROM images WHERE manifest_digest = ?", (digest,))
                connection.execute("DELETE FROM manifests WHERE digest = ?", (digest,))
        except _InUse:
            return False
        return True

    # -- the layout's index.json --------------------------------------------------------------

    def repair(self) -> None:
        """Rewrites index.json when it does not show what the database holds."""
        row = self._database.connect().execute(_GENERATION).fetchone()
        if layout.generation(self._paths) != row[0]:
            with self._database.transaction() as connection:
                self._write_layout(connection)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._database.transaction() as connection:
            yield connection
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            self._write_layout(connection)

    def _write_layout(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            """SELECT manifests.*, reference, familiar FROM manifests
               LEFT JOIN images ON manifest_digest = digest ORDER BY familiar, digest"""
        )
        number = int(connection.execute(_GENERATION).fetchone()[0])
        layout.write(self._paths, number, tuple(_descriptor(row) for row in rows))


class _InUse(Exception):
    """Rolls a removal back."""


_USED = """SELECT 1 FROM containers JOIN manifests ON image_id = config_digest WHERE digest = ?"""
_GENERATION = "SELECT value FROM meta WHERE key = 'generation'"
_NAMES = "SELECT reference, familiar, repository, tag, repo_digest, manifest_digest FROM images"


def _name(row: sqlite3.Row) -> NameRow:
    return msgspec.convert(dict(row), NameRow)


def _manifest(row: sqlite3.Row) -> ManifestRow:
    return msgspec.convert(dict(row), ManifestRow)


def _layer(row: sqlite3.Row) -> LayerRow:
    return msgspec.convert(dict(row), LayerRow)


def _descriptor(row: sqlite3.Row) -> Descriptor:
    system, architecture, *variant = row["platform"].split("/")
    annotations = {}
    if row["reference"]:
        annotations = {layout.REF_NAME: row["familiar"], layout.IMAGE_NAME: row["reference"]}
    return Descriptor(
        media_type=row["media_type"],
        digest=row["digest"],
        size=row["size"],
        annotations=annotations,
        platform=Platform(
            architecture=architecture, os=system, variant=variant[0] if variant else None
        ),
    )
