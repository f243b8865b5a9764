"""Blobs are there whole or not at all, whoever dies in between."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.oci.image import Descriptor
from pydock_engine.paths import Paths
from pydock_engine.store import digest, gc, session
from pydock_engine.store.cas import BlobStore
from pydock_engine.store.database import Database
from pydock_engine.store.root import filesystem_of, open_root
from pydock_engine.store.session import Session, open_session

DATA = b"some bytes" * 1000


@pytest.fixture
def store(paths: Paths) -> Iterator[Paths]:
    open_root(paths)
    return paths


@pytest.fixture
def blobs(store: Paths) -> BlobStore:
    return BlobStore(store)


@pytest.fixture
def ingest(store: Paths) -> Iterator[Session]:
    with open_session(store) as opened:
        yield opened


def described(data: bytes = DATA) -> Descriptor:
    return Descriptor(media_type="x", digest=digest.of(data), size=len(data))


def test_a_blob_appears_when_it_is_complete(blobs: BlobStore, ingest: Session) -> None:
    with blobs.writer(ingest, described()) as writer:
        writer.write(DATA)
        assert not blobs.has(described())
    assert blobs.has(described())
    assert blobs.read(described()) == DATA
    assert blobs.path(described().digest).stat().st_mode & 0o777 == 0o444
    assert [entry.name for entry in ingest.folder.iterdir()] == ["lock"]


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"x" + DATA[1:], b""])
def test_a_wrong_blob_never_appears(blobs: BlobStore, ingest: Session, data: bytes) -> None:
    def write() -> None:
        with blobs.writer(ingest, described()) as writer:
            writer.write(data)

    with pytest.raises(errors.IntegrityError):
        write()
    assert not blobs.has(described())
    assert list(blobs.digests()) == []
    assert [entry.name for entry in ingest.folder.iterdir()] == ["lock"]


def test_two_writers_of_one_blob_do_not_meet(blobs: BlobStore, ingest: Session) -> None:
    with blobs.writer(ingest, described()) as one:
        one.write(DATA[:100])
        with blobs.writer(ingest, described()) as two:
            two.write(DATA)
        assert blobs.is_sound(described())
        one.write(DATA[100:])
    assert blobs.is_sound(described())


def test_adding_twice_is_a_success_and_mends_damage(blobs: BlobStore, ingest: Session) -> None:
    one = blobs.add(ingest, DATA, "x")
    path = blobs.path(one.digest)
    path.chmod(0o600)
    path.write_bytes(DATA[:-1] + b"x")
    assert not blobs.is_sound(one)
    with pytest.raises(errors.IntegrityError):
        blobs.read(one)
    assert blobs.add(ingest, DATA, "x") == one
    assert blobs.is_sound(one)


def test_a_blob_that_is_not_here_is_said_to_be_missing(blobs: BlobStore) -> None:
    with pytest.raises(errors.BlobNotFound, match=described().digest):
        blobs.open(described())
    assert blobs.delete(described().digest) == 0


@pytest.mark.parametrize("text", ["sha256:../../etc/passwd", "../x", "sha256:"])
def test_a_digest_that_is_a_path_leads_nowhere(blobs: BlobStore, text: str) -> None:
    with pytest.raises(errors.IntegrityError):
        blobs.path(text)


def test_a_document_beyond_the_limit_is_not_read(blobs: BlobStore) -> None:
    large = Descriptor(media_type="x", digest=digest.of(b""), size=5 << 20)
    with pytest.raises(errors.IntegrityError, match="too large"):
        blobs.read(large)


def test_a_session_is_alive_exactly_as_long_as_its_process(store: Paths) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with open_session(store) as opened:
            os.write(writer, opened.name.encode())
            os.read(os.pipe()[0], 1)
    os.close(writer)
    name = os.read(reader, 100).decode()
    os.close(reader)
    (store.layers_ingest / f"{name}.0").mkdir()
    assert session.is_alive(store, name)
    assert session.dead_sessions(store) == []
    assert session.leftover_layers(store) == []
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert not session.is_alive(store, name)
    assert session.dead_sessions(store) == [name]
    doomed = gc.leftovers(store)
    assert list(store.ingest.iterdir()) == []
    assert [path.parent for path in doomed] == [store.layers_ingest]
    assert doomed[0].name.endswith(session.DOOMED)
    doomed[0].rmdir()


def test_a_session_that_is_just_being_made_is_not_taken_for_a_dead_one(store: Paths) -> None:
    starting = store.ingest / ".starting"
    starting.mkdir()
    assert session.dead_sessions(store) == []
    os.utime(starting, (0, 0))
    assert session.dead_sessions(store) == [".starting"]


def test_a_sweep_removes_what_nobody_needs_and_nothing_leased(
    store: Paths, blobs: BlobStore, ingest: Session
) -> None:
    database = Database(store.database)
    kept = blobs.add(ingest, b"kept", "x")
    gone = blobs.add(ingest, b"gone", "x")
    for chain in ("1" * 64, "2" * 64):
        (store.layers / "sha256" / chain / "diff").mkdir(parents=True)
    gc.lease(database, ingest.name, {kept.digest, "sha256:" + "1" * 64})
    folders, freed = gc.sweep(database, store)
    assert freed == len(b"gone")
    assert list(blobs.digests()) == [kept.digest]
    assert [path.name for path in (store.layers / "sha256").iterdir()] == ["1" * 64]
    assert [sorted(p.name for p in folder.iterdir()) for folder in folders] == [["diff"]]
    assert gc.leftovers(store) == folders
    gc.release(database, ingest.name)
    assert gc.sweep(database, store)[1] == len(b"kept")
    assert not blobs.has(gone)
    database.close()


def test_a_dead_sessions_lease_holds_nothing(store: Paths, blobs: BlobStore) -> None:
    database = Database(store.database)
    with open_session(store) as opened:
        left = blobs.add(opened, b"left", "x")
        gc.lease(database, opened.name, {left.digest})
    assert gc.sweep(database, store)[1] == len(b"left")
    rows = database.connect().execute("SELECT count(*) FROM leases").fetchone()
    assert rows[0] == 0
    database.close()


def test_the_lock_is_taken_before_the_name_is_seen(store: Paths) -> None:
    with open_session(store) as opened:
        with open(opened.folder / "lock", "rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert not opened.folder.exists()


def test_a_root_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = os.stat(tmp_path).st_dev
    numbers = f"{os.major(device)}:{os.minor(device)}"
    table = f"36 35 {numbers} / /mnt rw,noatime shared:1 - nfs4 server:/x rw\n"
    assert filesystem_of(tmp_path, table) == "nfs4"
    assert filesystem_of(tmp_path) not in ("", "nfs4")
    monkeypatch.setattr("pydock_engine.store.root.filesystem_of", lambda path: "nfs4")
    with pytest.raises(errors.StoreError, match="nfs4") as caught:
        open_root(Paths(tmp_path / "root", tmp_path / "run"))
    assert "PYDOCK_ROOT" in caught.value.way_out


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.StoreError, match="cannot write"):
        open_root(Paths(tmp_path / "file" / "root", tmp_path / "run"))
