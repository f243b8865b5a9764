"""Fixtures of the snapshot's tests: those of the runtime."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydock_engine.paths import Paths

from tests.runtime.conftest import driver, make_box
from tests.runtime.lab import Box, Driver

__all__ = ["driver"]


@pytest.fixture
def box(driver: Driver, paths: Paths) -> Iterator[Box]:
    yield from make_box(driver, paths, None)
