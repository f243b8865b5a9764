"""An image collection with jobs in this process, and registries to pull from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydock_engine.image.collection import Images
from pydock_engine.paths import Paths
from pydock_engine.store.database import Database
from pydock_engine.testing.jobs import InProcessJobs
from pydock_engine.testing.registry import TestRegistry

LEVEL = "root" if os.geteuid() == 0 else "rootless-single"


@pytest.fixture(autouse=True)
def no_login_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "none.json"))


@pytest.fixture
def jobs() -> InProcessJobs:
    return InProcessJobs(LEVEL)


@pytest.fixture
def images(paths: Paths, jobs: InProcessJobs) -> Iterator[Images]:
    database = Database(paths.database)
    yield Images(paths, database, jobs)
    database.close()


@pytest.fixture
def fake() -> Iterator[TestRegistry]:
    with TestRegistry() as registry:
        yield registry


@pytest.fixture
def state(paths: Paths) -> Callable[[], dict[str, bytes]]:
    """A function that tells everything in the store: each path, and the bytes of each blob.

    The database is left out; `Images.list` speaks for it.
    """

    def read() -> dict[str, bytes]:
        found = {}
        for folder, _, names in os.walk(paths.root):
            found[folder] = b""
            for name in names:
                path = Path(folder, name)
                if not name.startswith("pydock."):
                    found[str(path)] = path.read_bytes() if path.is_file() else b"other"
        return found

    return read
