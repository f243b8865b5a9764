"""Fixtures of the conformance suite: `lab` once for each runtime there is.

The other two prove the suite: what they fail is no requirement.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.lab import Lab, fill, own_program
from tests.support.packages import program_or_skip

RUNTIMES = ("pydock-oci", "runc", "crun")


@pytest.fixture(params=RUNTIMES)
def lab(request: pytest.FixtureRequest, short_path: Path) -> Iterator[Lab]:
    """A bundle with a busybox root, and one runtime to run it with."""
    busybox = program_or_skip("busybox")
    name = request.param
    program = own_program(short_path) if name == "pydock-oci" else program_or_skip(name)
    lab = Lab([program, "--root", str(short_path / "state")], short_path)
    fill(lab.rootfs, busybox)
    if name == "crun":
        _skip_unless_it_works(lab)
    yield lab
    lab.close()


def _skip_unless_it_works(lab: Lab) -> None:
    """Crun needs groups of one version, v1 or v2."""
    answer = lab.sh("true")
    if answer.status != 0:
        pytest.skip(f"crun does not work here: {answer.err.strip()}")


@pytest.fixture
def own(lab: Lab) -> Lab:
    """`lab` for what only pydock-oci promises."""
    if not lab.command[0].endswith("pydock-oci"):
        pytest.skip("a promise of pydock-oci alone")
    return lab
