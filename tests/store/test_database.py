"""The index file: creation, transactions, threads, forks, and files it refuses."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.store import schema
from pydock_engine.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "deep" / "pydock.db")
    yield database
    database.close()


def add_container(connection: sqlite3.Connection, name: str, slot: int = -1) -> None:
    connection.execute(
        "INSERT INTO containers VALUES (?, ?, 'sha256:0', '', ?, x'')", (name * 8, name, slot)
    )


def count(database: Database) -> int:
    row = database.connect().execute("SELECT count(*) FROM containers").fetchone()
    return int(row[0])


def test_making_a_database_touches_no_disk(tmp_path: Path) -> None:
    Database(tmp_path / "a" / "pydock.db")
    assert list(tmp_path.iterdir()) == []


def test_the_schema_is_made_once_and_in_wal_mode(database: Database) -> None:
    connection = database.connect()
    assert connection.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert database.connect() is connection


def test_a_failed_transaction_leaves_no_trace(database: Database) -> None:
    def fail_half_way() -> None:
        with database.transaction() as connection:
            add_container(connection, "one")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert count(database) == 0
    with database.transaction() as connection:
        add_container(connection, "one")
    assert count(database) == 1


def test_a_taken_name_or_slot_is_an_integrity_error_the_caller_may_catch(
    database: Database,
) -> None:
    with database.transaction() as connection:
        add_container(connection, "one", 3)
        add_container(connection, "two")
        add_container(connection, "three")
    for name, slot in (("one", -1), ("four", 3)):
        with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
            add_container(connection, name, slot)


def test_each_thread_has_its_own_connection(database: Database) -> None:
    mine, seen = database.connect(), []
    thread = threading.Thread(target=lambda: seen.append(database.connect() is mine))
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_forked_child_opens_its_own_connection(database: Database) -> None:
    mine = database.connect()
    pid = os.fork()
    if pid == 0:
        try:
            with database.transaction() as connection:
                add_container(connection, "child")
            os._exit(0 if database.connect() is not mine else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert count(database) == 1


def test_many_threads_may_create_it_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def create(name: str) -> None:
        one = Database(tmp_path / "pydock.db")
        try:
            with one.transaction() as connection:
                add_container(connection, name)
        except BaseException as error:
            failures.append(error)
        finally:
            one.close()

    threads = [threading.Thread(target=create, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_newer_file_is_refused_and_left_alone(database: Database) -> None:
    database.connect().execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    database.close()
    with pytest.raises(errors.StoreError, match="newer version"):
        database.connect()


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pydock.db"
    path.write_bytes(b"not a database at all" * 200)
    with pytest.raises(errors.StoreError, match="is not a database") as caught:
        Database(path).connect()
    assert "PYDOCK_ROOT" in caught.value.way_out
