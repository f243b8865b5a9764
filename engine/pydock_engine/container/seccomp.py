"""Which system calls a container may make: Docker's default, a profile of the user's, or all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from ..errors import Unsupported
from ..oci.seccomp import LinuxSeccomp
from ..runtime.capabilities import DEFAULT
from ..runtime.seccomp import docker_profile
from ..runtime.seccomp.default_profile import default_profile, kernel_version
from ..runtime.seccomp.program import program_for

UNCONFINED = "unconfined"


def profile_for(asked: str | None, capabilities: Iterable[str]) -> LinuxSeccomp | None:
    """The filter for `RunOptions.seccomp` on this machine; None for no filter.

    Raises UsageError for text that is no profile, Unsupported on a machine without a table of
    system calls.
    """
    if asked == UNCONFINED:
        return None
    here = os.uname()
    kernel = kernel_version(here.release)
    if asked is None:
        return default_profile(capabilities, kernel, here.machine)
    return docker_profile.settle(docker_profile.decode(asked), capabilities, kernel, here.machine)


def warm() -> None:
    """Compiles the default filter (12 ms), so that processes forked from here have it."""
    with contextlib.suppress(Unsupported):  # told by the first container that wants it
        profile = profile_for(None, DEFAULT)
        if profile is not None:
            program_for(profile, os.uname().machine)
