"""A container's groups, wherever its controllers are mounted.

Moving a process into a v1 group waits for an RCU grace period, 5-16 ms here; being born in a v2
group (CLONE_INTO_CGROUP) costs nothing. So a container always has its v2 group where there is a v2
mount, and v1 groups only for the limits it was given. Init joins those itself, through
descriptors opened here, while its parent mounts the root.
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
from ...oci.runtime import Resources
from . import limits
from .hierarchies import FOLDER, Hierarchies, enable, this_machine

_REMOVE_TIMEOUT_S = 2.0


class Cgroup:
    """The groups of one container: limits go in, facts come out, in the end they are removed."""

    def __init__(self, container_id: str, hierarchies: Hierarchies) -> None:
        self._hierarchies = hierarchies
        self._folders = {root: root / FOLDER / container_id for root in hierarchies.folders()}

    def create(self, resources: Resources | None, *, best_effort: bool) -> tuple[str, ...]:
        """Makes the groups and writes the limits; returns the options that could not be applied.

        Raises Unsupported for the first of those unless `best_effort`; nothing is left then.
        """
        missing = dict.fromkeys(limits.unknown(resources), "it is not supported yet")
        try:
            self._create_unified()
            for controller, option in limits.wanted(resources).items():
                if reason := self._limit(controller, resources or Resources()):
                    missing[option] = reason
            for option, reason in missing.items():
                if not best_effort:
                    raise errors.Unsupported(
                        f"{option} cannot be enforced here: {reason}",
                        way_out="leave it out, or add --best-effort to run without it",
                    )
        except BaseException:
            self.remove()
            raise
        return tuple(missing)

    def open_unified(self) -> int | None:
        """The v2 group, for init to be born in; None without one."""
        folder = self._folders.get(self._hierarchies.unified or Path())
        if folder is None:
            return None
        try:
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    def open_v1(self) -> list[int]:
        """A `cgroup.procs` for each v1 group that was made; writing `0` joins it."""
        found = []
        for root in dict.fromkeys(self._hierarchies.v1.values()):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.open(self._folders[root] / "cgroup.procs", os.O_WRONLY))
        return found

    def oom_kills(self) -> int:
        """How many processes inside the kernel has killed for want of memory."""
        root = self._hierarchies.controller("memory")
        if root is None:
            return 0
        name = "memory.oom_control" if "memory" in self._hierarchies.v1 else "memory.events"
        try:
            lines = (self._folders[root] / name).read_text().splitlines()
        except FileNotFoundError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    def processes(self) -> set[int]:
        """Everything inside, as pids of the caller's pid namespace."""
        found: set[int] = set()
        for folder in self._folders.values():
            for group in _tree(folder):
                with contextlib.suppress(FileNotFoundError):
                    found |= {int(word) for word in (group / "cgroup.procs").read_text().split()}
        return found - {0}

    def kill(self) -> None:
        """SIGKILL to everything inside."""
        for folder in self._folders.values():
            with contextlib.suppress(OSError):  # no such file on v1, and before Linux 5.14
                (folder / "cgroup.kill").write_text("1")
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Removes the groups, emptied by `kill` if need be; missing ones are fine.

        Raises StoreError when something inside cannot be killed within 2 s.
        """
        for folder in self._folders.values():
            self._remove(folder)
            with contextlib.suppress(OSError):  # other containers are in there
                folder.parent.rmdir()

    def _remove(self, folder: Path) -> None:
        deadline = time.monotonic() + _REMOVE_TIMEOUT_S
        while True:
            try:
                folder.rmdir()
            except FileNotFoundError:
                return
            except OSError as error:
                # A process leaves its group a moment after it was reaped.
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise errors.StoreError(f"cannot remove the group {folder}: {error}") from error
                self.kill()
                for group in _tree(folder):
                    with contextlib.suppress(OSError):  # found again at the next turn
                        group.rmdir()
                time.sleep(0.001)
            else:
                return

    def _create_unified(self) -> None:
        """Best effort: without limits nothing depends on it."""
        unified = self._hierarchies.unified
        if unified is not None:
            with contextlib.suppress(OSError):
                _make(self._folders[unified])

    def _limit(self, controller: str, resources: Resources) -> str:
        """Writes one controller's limits; returns why it cannot, or nothing."""
        root = self._hierarchies.controller(controller)
        if root is None:
            return f"the {controller} controller is not available to this user"
        folder = self._folders[root]
        try:
            _make(folder)
            if controller not in self._hierarchies.v1:
                enable(root, frozenset({controller}))
                enable(folder.parent, frozenset({controller}))
            for name, content in limits.files(controller, resources, self._hierarchies):
                try:
                    (folder / name).write_text(content)
                except FileNotFoundError:
                    # A kernel without swap accounting: docker goes without the swap limit, too.
                    if "swap" not in name and "memsw" not in name:
                        raise
        except OSError as error:
            return f"{error.filename or folder}: {error.strerror}"
        return ""


def _tree(folder: Path) -> Iterator[Path]:
    """`folder` after all groups that were made below it."""
    for name, _folders, _files in os.walk(folder, topdown=False):
        yield Path(name)


def _make(folder: Path) -> None:
    """`folder` and its parent, which the removal of another container may take away meanwhile."""
    for _ in range(100):
        with contextlib.suppress(FileExistsError):
            folder.parent.mkdir()
        try:
            folder.mkdir()
        except FileExistsError:
            return
        except FileNotFoundError:
            continue
        return


def find_group(container_id: str) -> Cgroup:
    """The groups a container of this id has now, whoever made them; having none is fine.

    For repair after a monitor was killed: `find_group(id).remove()`.
    """
    return Cgroup(container_id, this_machine())
