"""Tables of the index, as a list of migrations: entry n takes user_version from n to n + 1."""

from __future__ import annotations

import sqlite3

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # One number that grows with every change of images; index.json carries it too, so a
        # process killed between the two is noticed.
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO meta VALUES ('generation', 0)",
        # An image as it lies in the store. It may have no name (its tag moved on).
        """CREATE TABLE manifests (
            digest TEXT PRIMARY KEY,
            media_type TEXT NOT NULL,
            size INTEGER NOT NULL,
            config_digest TEXT NOT NULL,
            config_size INTEGER NOT NULL,
            platform TEXT NOT NULL,
            created TEXT,
            added_at TEXT NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX manifests_by_config ON manifests (config_digest)",
        # A name, in full form, and the manifest it stands for here.
        """CREATE TABLE images (
            reference TEXT PRIMARY KEY,
            familiar TEXT NOT NULL,
            repository TEXT NOT NULL,
            tag TEXT NOT NULL,
            repo_digest TEXT NOT NULL,
            manifest_digest TEXT NOT NULL REFERENCES manifests (digest),
            pulled_at TEXT NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX images_by_manifest ON images (manifest_digest)",
        """CREATE TABLE image_layers (
            manifest_digest TEXT NOT NULL REFERENCES manifests (digest) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            digest TEXT NOT NULL,
            media_type TEXT NOT NULL,
            compressed_bytes INTEGER NOT NULL,
            diff_id TEXT NOT NULL,
            chain_id TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            files INTEGER NOT NULL,
            PRIMARY KEY (manifest_digest, position)
        ) WITHOUT ROWID""",
        "CREATE INDEX image_layers_by_chain ON image_layers (chain_id)",
        # What a pull under way needs and must not be collected; `session` names a locked folder.
        """CREATE TABLE leases (
            session TEXT NOT NULL,
            item TEXT NOT NULL,
            PRIMARY KEY (session, item)
        ) WITHOUT ROWID""",
        """CREATE TABLE containers (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            image_id TEXT NOT NULL,
            created_at TEXT NOT NULL,
            userns_slot INTEGER NOT NULL,
            record BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE UNIQUE INDEX containers_by_slot ON containers (userns_slot) WHERE userns_slot >= 0",
        "CREATE INDEX containers_by_image ON containers (image_id)",
    ),
)

VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Takes the tables from `version` to VERSION; the caller holds the transaction."""
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
