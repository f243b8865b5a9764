"""The groups a bundle's `cgroupsPath` names, in every hierarchy of the machine.

Unlike the engine's own containers (cgroups/group.py), which join only what limits them, these are
in all hierarchies: their keepers read statistics there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from ... import errors
from ...oci.runtime import DeviceRule, Resources
from ..cgroups.hierarchies import enable
from .group_files import files_v1, files_v2

_TIMEOUT_S = 10.0
_ALWAYS_ALLOWED = (
    "c *:* m",
    "b *:* m",
    *(f"c 1:{minor} rwm" for minor in (3, 5, 7, 8, 9)),  # null zero full random urandom
    "c 5:0 rwm",  # tty
    "c 5:2 rwm",  # ptmx
    "c 136:* rwm",  # pts
)
"""runtime-spec's default devices, and making nodes, which is not using them; as runc has it."""


class Groups:
    """Creation, limits, members, freezing, removal. All but `create` may be repeated."""

    def __init__(self, folders: dict[str, Path], unified: Path | None) -> None:
        self.v1 = folders
        """By what mountinfo calls the hierarchy: `cpu`, `cpu,cpuacct`, `name=systemd`."""
        self.unified = unified

    def folders(self) -> list[Path]:
        return [*self.v1.values(), *([self.unified] if self.unified else [])]

    def create(self) -> None:
        """Makes the groups. Raises SyscallError, also when one exists and has processes."""
        for folder in self.folders():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if (folder / "cgroup.procs").read_text().strip():
                    raise errors.Conflict(f"the group {folder} is in use")
            except OSError as error:
                raise errors.SyscallError.from_os_error("mkdir", error, str(folder)) from error
        if cpuset := self._controller("cpuset"):
            _inherit_cpuset(cpuset)

    def apply(self, resources: Resources | None) -> None:
        """Writes the limits. Raises Unsupported naming the one this machine cannot hold."""
        if resources is None:
            return
        v1 = {name for names in self.v1 for name in names.split(",")}
        for controller, name, content in files_v1(resources):
            if controller in v1:
                self._write(controller, name, content)
        for controller, name, content in files_v2(resources):
            if controller not in v1:
                self._write_v2(controller, name, content)

    def limit_devices(self, rules: tuple[DeviceRule, ...]) -> bool:
        """Puts `rules` into force; False where the kernel wants a BPF program for that (v2)."""
        folder = self._controller("devices")
        if folder is None:
            return False
        words = [("devices.deny" if not r.allow else "devices.allow", _words(r)) for r in rules]
        words += [("devices.allow", text) for text in _ALWAYS_ALLOWED]
        for name, text in words:
            self._write("devices", name, text)
        return True

    def open_members(self) -> tuple[list[int], int | None]:
        """`cgroup.procs` of each v1 group, for init to write 0 to; the v2 group to be born in."""
        opened = [os.open(folder / "cgroup.procs", os.O_WRONLY) for folder in self.v1.values()]
        unified = None
        if self.unified is not None:
            unified = os.open(self.unified, os.O_RDONLY | os.O_DIRECTORY)
        return opened, unified

    def processes(self) -> list[int]:
        """Everything inside, groups below included, in the caller's pids."""
        found: set[int] = set()
        for folder in self.folders():
            for group in _tree(folder):
                with contextlib.suppress(OSError):
                    found |= {int(word) for word in (group / "cgroup.procs").read_text().split()}
        return sorted(found - {0})

    def freeze(self, *, frozen: bool) -> None:
        """Returns when everything inside is as asked. Raises Unsupported, SyscallError."""
        folder, name, content = self._freezer(frozen)
        deadline = time.monotonic() + _TIMEOUT_S
        try:
            (folder / name).write_text(content)
            while self.is_frozen() != frozen:
                if time.monotonic() > deadline:
                    raise errors.Conflict(f"{folder} does not freeze")
                time.sleep(0.001)
        except OSError as error:
            raise errors.SyscallError.from_os_error("write", error, f"{folder}/{name}") from error

    def is_frozen(self) -> bool:
        if self.unified is not None:
            with contextlib.suppress(OSError):
                return "frozen 1" in (self.unified / "cgroup.events").read_text().splitlines()
        folder = self._controller("freezer")
        with contextlib.suppress(OSError):
            return folder is not None and (
                (folder / "freezer.state").read_text().strip() == "FROZEN"
            )
        return False

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends the signal to everything inside."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self) -> None:
        """Kills what is inside and removes the groups; missing ones are fine."""
        deadline = time.monotonic() + _TIMEOUT_S
        for folder in self.folders():
            while folder.exists():
                try:
                    for group in _tree(folder):
                        group.rmdir()
                except FileNotFoundError:
                    break
                except OSError as error:
                    if error.errno != errno.EBUSY or time.monotonic() > deadline:
                        raise errors.SyscallError.from_os_error(
                            "rmdir", error, str(folder)
                        ) from error
                    with contextlib.suppress(errors.PydockError):
                        self.freeze(frozen=False)
                    self.kill()
                    time.sleep(0.002)

    def numbers(self) -> dict[str, int]:
        """What the groups have counted: names of files, without their unit-less rest."""
        found = {}
        for controller, names in _COUNTERS.items():
            folder = self._controller(controller) or self.unified
            for name in names if folder else ():
                with contextlib.suppress(OSError, ValueError):
                    found[name] = int((Path(str(folder)) / name).read_text())
        return found

    def _freezer(self, frozen: bool) -> tuple[Path, str, str]:
        if self.unified is not None and (self.unified / "cgroup.freeze").exists():
            return self.unified, "cgroup.freeze", "1" if frozen else "0"
        folder = self._controller("freezer")
        if folder is None:
            raise errors.Unsupported("there is no freezer here")
        return folder, "freezer.state", "FROZEN" if frozen else "THAWED"

    def _controller(self, name: str) -> Path | None:
        return next((path for names, path in self.v1.items() if name in names.split(",")), None)

    def _write(self, controller: str, name: str, content: str) -> None:
        folder = self._controller(controller)
        path = Path(str(folder)) / name
        try:
            path.write_text(content)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and ".memsw." in name:
                return  # a kernel without swap accounting; runc goes without this limit, too
            raise _refused(path, content, error) from error

    def _write_v2(self, controller: str, name: str, content: str) -> None:
        if self.unified is None:
            raise errors.Unsupported(f"{name}: there is no {controller} controller here")
        try:
            if controller != "cgroup":
                for parent in reversed(list(_up_to_mount(self.unified))):
                    enable(parent, frozenset({controller}))
            (self.unified / name).write_text(content)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and ".swap." in name:
                return
            raise _refused(self.unified / name, content, error) from error


_COUNTERS = {
    "memory": ("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.current"),
    "pids": ("pids.current",),
    "cpuacct": ("cpuacct.usage",),
}


def find_groups(path: str, mountinfo: str | None = None) -> Groups:
    """The groups of `cgroupsPath` (below every hierarchy's mount). Raises UsageError for one that
    climbs out, Unsupported for systemd's `slice:prefix:name`.
    """
    if path.count(":") == 2 and "/" not in path:
        raise errors.Unsupported(
            f"cgroupsPath {path}: groups made by systemd are not supported",
            way_out="use the cgroupfs manager of your engine",
        )
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts or "." in parts:
        raise errors.UsageError(f"cgroupsPath {path!r} does not name a group")
    inside = "/".join(parts)
    folders: dict[str, Path] = {}
    unified = None
    for line in (mountinfo or Path("/proc/self/mountinfo").read_text()).splitlines():
        before, _, after = line.partition(" - ")
        kind, _source, options = after.split(maxsplit=2)
        mount_point = Path(before.split()[4])
        if kind == "cgroup2" and unified is None:
            unified = mount_point / inside
        elif kind == "cgroup":
            words = [w for w in options.split(",") if w in _V1 or w.startswith("name=")]
            folders.setdefault(",".join(words), mount_point / inside)
    return Groups(folders, unified)


_V1 = {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb"}
_V1 |= {"net_cls", "net_prio", "perf_event", "rdma", "misc"}


def _inherit_cpuset(folder: Path) -> None:
    """A v1 cpuset takes no process before it has processors and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        chain = [folder]
        while not (value := (chain[-1] / name).read_text().strip()):
            chain.append(chain[-1].parent)
        for group in reversed(chain[:-1]):
            (group / name).write_text(value)


def _up_to_mount(folder: Path) -> Iterator[Path]:
    """The v2 groups above `folder`, nearest first."""
    for parent in folder.parents:
        if not (parent / "cgroup.subtree_control").exists():
            return
        yield parent


def _tree(folder: Path) -> Iterator[Path]:
    for name, _folders, _files in os.walk(folder, topdown=False):
        yield Path(name)


def _words(rule: DeviceRule) -> str:
    if rule.type == "a":
        return "a"
    major, minor = ("*" if n is None or n < 0 else n for n in (rule.major, rule.minor))
    return f"{rule.type} {major}:{minor} {rule.access}"


def _refused(path: Path, content: str, error: OSError) -> errors.PydockError:
    if isinstance(error, FileNotFoundError):
        return errors.Unsupported(f"{path.name} cannot be set here: the kernel lacks it")
    return errors.SyscallError.from_os_error("write", error, f"{content} to {path}")
