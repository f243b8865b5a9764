"""The SQLite file behind names and images: one connection per thread, one writer at a time.

A connection is never carried across fork(2): SQLite's locks belong to a process, so a child that
asks gets a connection of its own and leaves its parent's alone.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import errors
from . import schema

BUSY_TIMEOUT_S = 10.0

_abandoned: list[sqlite3.Connection] = []
"""Connections of a parent process, kept from being closed (and checkpointed) by a child."""


class Connection(sqlite3.Connection):
    """A connection that closes itself with its thread."""

    def __del__(self) -> None:
        self.close()


class Database:
    """The index at `path`; nothing is touched before the first `connect`.

    A killed process leaves at most an unfinished write-ahead log, which the next one rolls back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open: weakref.WeakSet[Connection] = weakref.WeakSet()

    def connect(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode, rows as `sqlite3.Row`.

        Raises
        ------
        StoreError, DiskFull
            The file cannot be made, is not a database, or is of a newer version.
        """
        held: Connection | None = getattr(self._local, "connection", None)
        if held is not None and self._local.pid == os.getpid():
            return held
        if held is not None:
            _abandoned.append(held)
        with self._told():
            self._local.connection = self._connect()
        self._local.pid = os.getpid()
        self._open.add(self._local.connection)
        return self._local.connection  # type: ignore[no-any-return]

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection inside BEGIN IMMEDIATE; commits at the end, rolls back on any exception.

        Waits up to BUSY_TIMEOUT_S for another writer. Not reentrant.
        """
        connection = self.connect()
        with self._told():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Closes every thread's connection; the next `connect` opens a new one."""
        for connection in list(self._open):
            connection.close()
        self._open.clear()
        self._local = threading.local()

    def _connect(self) -> Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # close() may come from another thread
            factory=Connection,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        if _version(connection) != schema.VERSION:
            self._prepare(connection)
        return connection

    def _prepare(self, connection: Connection) -> None:
        """Creates or migrates; a lock file serialises it, as switching to WAL ignores time-outs."""
        with open(self.path.with_suffix(".lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            version = _version(connection)
            if version > schema.VERSION:
                raise errors.StoreError(
                    f"{self.path} was written by a newer version of pydock-magic",
                    way_out="upgrade pydock-magic, or set PYDOCK_ROOT to another folder",
                )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                schema.migrate(connection, version)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's and the disk's complaints as errors of the engine; IntegrityErrors pass."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise _store_error(error, self.path) from error
        except OSError as error:
            raise errors.disk_error(error, self.path) from error


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _store_error(error: sqlite3.Error, path: Path) -> errors.PydockError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return errors.disk_error(OSError(28, "No space left on device"), path)
    if code is not None and code & 0xFF == sqlite3.SQLITE_NOTADB:
        return errors.StoreError(
            f"{path} is not a database of pydock-magic",
            way_out="move that file away, or set PYDOCK_ROOT to another folder",
        )
    return errors.StoreError(f"the index {path} cannot be used: {error}", path=str(path))
