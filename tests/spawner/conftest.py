"""Fixtures of the spawner's tests: a spawner of its own per test, ended afterwards."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from pydock_engine.paths import Paths
from pydock_engine.spawner.client import Spawner

PATIENCE_S = 60


@pytest.fixture(autouse=True)
def no_test_hangs() -> Iterator[None]:
    """A test that waits for what never comes fails with a traceback instead."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"the test took more than {PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def spawner(paths: Paths) -> Iterator[Spawner]:
    paths.root.mkdir()
    spawner = Spawner(paths)
    yield spawner
    spawner.stop()
