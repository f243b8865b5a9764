"""From a plan to a created container: what the monitor calls, in its own mount namespace."""

from __future__ import annotations

from dataclasses import dataclass

from ..oci.runtime import Spec
from ..paths import Paths
from ..runtime.cgroups import Cgroup
from ..runtime.create import InitProcess, Stdio
from .plan import Plan


@dataclass(frozen=True)
class Launched:
    """A container that only waits for `init.start()`."""

    init: InitProcess
    """`.pid`, `.pidfd`, `.start()`, `.send_signal(n)`, `.kill()`, `.close()`."""
    spec: Spec
    """As written to `ContainerPaths.config`."""
    cgroup: Cgroup
    """`.oom_kills() -> int`, `.kill()` everything inside, `.remove()` after the end."""
    isolation: str
    """The level, with what is weaker than usual: `root`, `root, userns host`, `rootless`, …"""
    not_applied: tuple[str, ...]


def launch(plan: Plan, *, paths: Paths, level: str, stdio: Stdio) -> Launched:
    """Mounts the root, resolves the user, writes config.json, puts limits in place, creates init.

    To be called by a single-threaded process that has a mount namespace of its own (rslave).
    Nothing of it is left in that namespace. On failure init is dead, the cgroups are removed and
    the error is raised: UsageError (user, mount), CommandNotFound comes from `init.start()`.

    Parameters
    ----------
    level
        `root`, `rootless` or `rootless-single`.
    stdio
        Stays the caller's; close the container's ends after this returns.
    """
    raise NotImplementedError
