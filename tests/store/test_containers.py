"""Rows of containers: names and ranges are never given twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pydock_engine.container.options import RunOptions
from pydock_engine.container.records import ContainerRecord
from pydock_engine.errors import Conflict, ContainerNotFound, UsageError
from pydock_engine.store.containers import ContainerStore
from pydock_engine.store.database import Database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ContainerStore]:
    database = Database(tmp_path / "pydock.db")
    yield ContainerStore(database)
    database.close()


def record(number: int, name: str = "", created_at: str = "2026") -> ContainerRecord:
    return ContainerRecord(
        id=f"{number:064x}",
        name=name or f"name{number}",
        image="i",
        image_id="sha256:0",
        created_at=created_at,
        command=("true",),
        options=RunOptions(image="i"),
    )


def test_it_comes_back_as_it_was(store: ContainerStore) -> None:
    added = store.add(record(1))
    assert store.get(added.id) == store.get("name1") == store.get("/name1") == added
    assert store.exists(added.id)


def test_the_newest_comes_first(store: ContainerStore) -> None:
    for number, day in ((1, "2026-01-01"), (2, "2026-01-03"), (3, "2026-01-02")):
        store.add(record(number, created_at=day))
    assert [r.name for r in store.list()] == ["name2", "name3", "name1"]


def test_beginnings_of_ids(store: ContainerStore) -> None:
    first = msgspec.structs.replace(record(1), id="abc1" + "0" * 60)
    second = msgspec.structs.replace(record(2), id="abc2" + "f" * 60)
    store.add(first)
    store.add(second)
    assert store.get("abc1") == first
    assert store.get("abc2ff") == second
    with pytest.raises(UsageError, match="more than one"):
        store.get("abc")
    for absent in ("abd", "", "zz", "abc1%", "abc_", "g"):
        with pytest.raises(ContainerNotFound):
            store.get(absent)


def test_an_exact_name_wins_over_the_beginning_of_an_id(store: ContainerStore) -> None:
    store.add(msgspec.structs.replace(record(1), id="abc1" + "0" * 60))
    named = store.add(record(2, name="abc1"))
    assert store.get("abc1") == named


def test_a_name_is_given_once(store: ContainerStore) -> None:
    holder = store.add(record(1, name="web"))
    with pytest.raises(Conflict, match=f"web.*{holder.id[:12]}") as caught:
        store.add(record(2, name="web"))
    assert caught.value.facts["id"] == holder.id
    assert store.remove(holder.id)
    assert not store.remove(holder.id)
    store.add(record(2, name="web"))


def test_ranges_are_the_lowest_free_ones(store: ContainerStore) -> None:
    slots = [store.add(record(n), with_slot=True).userns_slot for n in range(4)]
    assert slots == [0, 1, 2, 3]
    store.remove(record(1).id)
    assert store.add(record(9), with_slot=True).userns_slot == 1
    assert store.add(record(10)).userns_slot == -1
    assert store.add(record(11)).userns_slot == -1


def test_ranges_of_threads_differ(store: ContainerStore) -> None:
    slots: list[int] = []

    def add(number: int) -> None:
        slots.append(store.add(record(number), with_slot=True).userns_slot)

    threads = [threading.Thread(target=add, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slots) == list(range(12))


def test_a_failed_preparation_leaves_no_row(store: ContainerStore) -> None:
    def fail(_: ContainerRecord) -> None:
        raise LookupError("not ready")

    with pytest.raises(LookupError, match="not ready"):
        store.add(record(1), prepare=fail)
    assert store.list() == []
    store.add(record(1))
