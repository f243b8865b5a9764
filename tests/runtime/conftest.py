"""Fixtures of the runtime's tests.

`box` runs containers: as root once in a user namespace of its own and once in the host's, as an
ordinary user rootless; the same test bodies for all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from pydock_engine.paths import Paths

from tests.runtime.driver import Request
from tests.runtime.lab import Box, Driver, make_layer


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


USER_NAMESPACES = ["private", "host"] if os.geteuid() == 0 else ["private"]
"""Only root can do without one."""


@pytest.fixture(params=USER_NAMESPACES)
def box(request: pytest.FixtureRequest, driver: Driver, paths: Paths) -> Iterator[Box]:
    """A busybox root; `box.sh(script)` runs it."""
    yield from make_box(driver, paths, "host" if request.param == "host" else None)


@pytest.fixture
def private_box(driver: Driver, paths: Paths) -> Iterator[Box]:
    """`box` with a user namespace of its own, whoever runs the tests."""
    yield from make_box(driver, paths, None)


@pytest.fixture
def host_box(driver: Driver, paths: Paths) -> Iterator[Box]:
    """`box` in the host's user namespace."""
    yield from make_box(driver, paths, "host")


def make_box(driver: Driver, paths: Paths, userns: str | None) -> Iterator[Box]:
    if shutil.which("busybox") is None:
        pytest.skip("needs busybox-static")
    make_layer(paths)
    yield Box(driver, paths, userns)
    if os.geteuid() != 0:  # files of subordinate ids are the driver's to remove
        driver.ask(Request(remove=str(paths.root)))
