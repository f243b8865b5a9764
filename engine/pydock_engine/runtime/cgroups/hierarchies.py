"""Where this machine's control groups are mounted, and where a container's may be made.

v1: every controller has a mount of its own. v2: one mount for all. Hybrid: v1 controllers, and the
v2 mount beside them with none, good for membership and cgroup.kill.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CONTROLLERS = ("memory", "cpu", "pids")
"""Those that a limit needs."""
FOLDER = "pydock"


@dataclass(frozen=True)
class Hierarchies:
    """The folders below which `pydock/<id>` may be made."""

    v1: dict[str, Path] = field(default_factory=dict)
    """By controller."""
    unified: Path | None = None
    """The v2 folder, if there is one we may write to."""
    unified_controllers: frozenset[str] = frozenset()
    """What limits can be set in `unified`."""

    def controller(self, name: str) -> Path | None:
        """The folder that limits `name`, or None."""
        if name in self.v1:
            return self.v1[name]
        return self.unified if name in self.unified_controllers else None

    def folders(self) -> list[Path]:
        """Each folder once."""
        found = list(self.v1.values()) + ([self.unified] if self.unified else [])
        return list(dict.fromkeys(found))


def find_hierarchies(
    mountinfo: str, own_groups: str, *, writable: Callable[[Path], bool] | None = None
) -> Hierarchies:
    """What /proc/self/mountinfo and /proc/self/cgroup (their text) say we may use.

    An ordinary user gets the topmost v2 group above its own that it may write to (delegation);
    v1 is the administrator's alone.
    """
    may_write = writable or _may_write
    v1: dict[str, Path] = {}
    unified: Path | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount_point = Path(_unescaped(before.split()[4]))
        kind, _source, options = after.split(maxsplit=2)
        if kind == "cgroup2" and unified is None:
            unified = _delegated(mount_point, own_groups, may_write)
        elif kind == "cgroup" and may_write(mount_point):
            for name in set(options.split(",")) & set(CONTROLLERS):
                v1.setdefault(name, mount_point)
    available = _words(unified / "cgroup.controllers") if unified else set()
    return Hierarchies(v1, unified, frozenset(available & set(CONTROLLERS)))


def this_machine() -> Hierarchies:
    """Read anew each time: 0.1 ms, and mounts come and go."""
    return find_hierarchies(
        Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text()
    )


def enable(folder: Path, names: frozenset[str]) -> None:
    """Hands the v2 controllers `names` on to the groups below `folder`. Raises OSError."""
    missing = names - _words(folder / "cgroup.subtree_control")
    if missing:
        words = " ".join(f"+{name}" for name in sorted(missing))
        (folder / "cgroup.subtree_control").write_text(words)


def _delegated(
    mount_point: Path, own_groups: str, may_write: Callable[[Path], bool]
) -> Path | None:
    if may_write(mount_point):
        return mount_point
    own = next((line[3:] for line in own_groups.splitlines() if line.startswith("0::")), "/")
    here, found = mount_point / own.lstrip("/"), None
    while here != mount_point and may_write(here):
        found, here = here, here.parent
    return found


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _unescaped(name: str) -> str:
    """mountinfo writes blanks and backslashes of paths as octal escapes."""
    for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(escaped, plain)
    return name
