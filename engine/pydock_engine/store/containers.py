"""Rows of the `containers` table: which containers exist, and what never changes about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec

from ..container.records import ContainerRecord
from ..errors import Conflict, ContainerNotFound, StoreError, UsageError
from .database import Database

MAX_SLOTS = 65_000
"""524288 + 65536·slot + 65535 stays below 2³²-1, the invalid id."""

_HEX = frozenset("0123456789abcdef")


class ContainerStore:
    """The rows, one transaction a call. A name or slot can never be taken twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        record: ContainerRecord,
        *,
        with_slot: bool = False,
        prepare: Callable[[ContainerRecord], None] | None = None,
    ) -> ContainerRecord:
        """The record as stored: with the lowest free range of host ids when `with_slot`.

        `prepare` is called with it inside the transaction, so that the row exists only after
        whatever it needs on disk does; an exception there leaves no row.

        Raises
        ------
        Conflict
            The name is taken; `facts["name"]` and `facts["id"]` say by whom.
        """
        try:
            with self._database.transaction() as connection:
                if with_slot:
                    slot = _free_slot(connection)
                    record = msgspec.structs.replace(record, userns_slot=slot)
                if prepare is not None:
                    prepare(record)
                connection.execute(
                    "INSERT INTO containers (id, name, image_id, created_at, userns_slot, record)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        record.id,
                        record.name,
                        record.image_id,
                        record.created_at,
                        record.userns_slot,
                        msgspec.json.encode(record),
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise self._name_taken(record) from error
        return record

    def remove(self, container_id: str) -> bool:
        """Whether there was a row to remove. `container_id` is the whole id."""
        cursor = self._database.connect().execute(
            "DELETE FROM containers WHERE id = ?", (container_id,)
        )
        return cursor.rowcount > 0

    def get(self, name: str) -> ContainerRecord:
        """The one container with that id, name or unique beginning of an id, in docker's order.

        Raises
        ------
        ContainerNotFound
        UsageError
            More than one id begins like that.
        """
        connection = self._database.connect()
        rows = connection.execute(
            "SELECT record FROM containers WHERE id = ?1 OR name = ?1"
            " ORDER BY id = ?1 DESC LIMIT 1",
            (name.removeprefix("/"),),
        ).fetchall()
        if not rows and 0 < len(name) < 64 and _HEX.issuperset(name):
            rows = connection.execute(
                "SELECT record FROM containers WHERE id >= ? AND id < ? LIMIT 2",
                (name, name + "g"),
            ).fetchall()
        if not rows:
            raise ContainerNotFound(
                f"no such container: {name}", way_out="see `%container ls -a`", name=name
            )
        if len(rows) > 1:
            raise UsageError(f"more than one container id begins with {name}", name=name)
        return _decode(rows[0][0])

    def exists(self, container_id: str) -> bool:
        row = self._database.connect().execute(
            "SELECT 1 FROM containers WHERE id = ?", (container_id,)
        )
        return row.fetchone() is not None

    def list(self) -> list[ContainerRecord]:
        """All of them, newest first."""
        rows = self._database.connect().execute(
            "SELECT record FROM containers ORDER BY created_at DESC, id"
        )
        return [_decode(row[0]) for row in rows]

    def _name_taken(self, record: ContainerRecord) -> Conflict:
        row = (
            self._database.connect()
            .execute("SELECT id FROM containers WHERE name = ?", (record.name,))
            .fetchone()
        )
        holder = row[0] if row else ""
        return Conflict(
            f"the container name {record.name} is already in use"
            + (f" by container {holder[:12]}" if holder else ""),
            way_out="remove or rename that container, or choose another name",
            name=record.name,
            id=holder,
        )


def _free_slot(connection: sqlite3.Connection) -> int:
    """The lowest slot no row has; inside the caller's transaction."""
    taken = 0
    rows = connection.execute(
        "SELECT userns_slot FROM containers WHERE userns_slot >= 0 ORDER BY userns_slot"
    )
    for (slot,) in rows:
        if slot != taken:
            break
        taken += 1
    if taken >= MAX_SLOTS:
        raise StoreError(
            f"all {MAX_SLOTS} ranges of user ids are in use",
            way_out="remove containers that are no longer needed, or use --userns host",
        )
    return taken


def _decode(data: bytes) -> ContainerRecord:
    return msgspec.json.decode(data, type=ContainerRecord)
