"""Whether limits can be set here: marks for tests of control groups.

`make test-vm` has a machine where they can be, as root and as a user with delegated groups; it says
so with `PYDOCK_TESTS_GROUPS`, and being unable to is a failure there, not a reason to skip.
"""

from __future__ import annotations

import os

import pytest
from pydock_engine.runtime.cgroups.hierarchies import CONTROLLERS, this_machine

PLACES = this_machine()
_MUST = "PYDOCK_TESTS_GROUPS" in os.environ

needs_controllers = pytest.mark.skipif(
    not _MUST and any(PLACES.controller(name) is None for name in CONTROLLERS),
    reason="needs the memory, cpu and pids controllers of control groups",
)
needs_v2 = pytest.mark.skipif(
    not _MUST and (bool(PLACES.v1) or PLACES.unified_controllers != set(CONTROLLERS)),
    reason="needs cgroup v2 alone, for users delegated: make test-vm",
)
