"""Taking containers away, whole ones and what killed processes have left of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from ..errors import Conflict, ContainerNotFound, PydockError
from ..monitor import state as states
from ..monitor.lock import lock_container
from ..paths import ContainerPaths, Paths
from ..protocol.messages import RemoveTrees
from ..runtime.cgroups.group import find_group
from ..spawner.client import Spawner
from ..store.containers import ContainerStore
from .records import ContainerRecord

LOCK_WAIT_S = 10.0
"""How long a killed container's monitor may take to let go."""


class Removal:
    """Removes containers and sweeps leftovers. Idempotent; safe with others doing the same."""

    def __init__(self, paths: Paths, store: ContainerStore, spawner: Spawner) -> None:
        self._paths = paths
        self._store = store
        self._spawner = spawner

    def remove(self, record: ContainerRecord) -> None:
        """Row, groups and folders of a container that does not run; already gone is fine.

        Raises
        ------
        Conflict
            It runs, or is being started.
        """
        own = self._paths.container(record.id)
        try:
            lock = lock_container(own, record.id)
        except ContainerNotFound:
            self._store.remove(record.id)
            return
        try:
            self._store.remove(record.id)
            self._clear(own, record.id)
        finally:
            os.close(lock)

    def remove_when_free(self, record: ContainerRecord) -> None:
        """`remove`, once the monitor of a container just killed has gone."""
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                self.remove(record)
                return
            except Conflict:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.005)

    def sweep(self, records: Iterable[ContainerRecord]) -> None:
        """Removes folders no row knows, and --rm containers whose monitor was killed.

        `records` are all rows. What is in use, or cannot be removed now, is left for next time.
        """
        known = {record.id for record in records}
        for own, container_id in self._leftovers(known):
            with contextlib.suppress(PydockError):
                lock = lock_container(own, container_id)
                try:
                    if not self._store.exists(container_id):
                        self._clear(own, container_id)
                finally:
                    os.close(lock)

    def is_abandoned(self, record: ContainerRecord) -> bool:
        """Whether --rm was promised by a monitor that was killed before it could."""
        return record.options.rm and states.read(self._paths.container(record.id)).status == "dead"

    def _leftovers(self, known: set[str]) -> Iterable[tuple[ContainerPaths, str]]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._paths.containers) as entries:
            for entry in entries:
                # Asked before it is locked too: whoever starts a new container wants the lock.
                if entry.name in known or self._store.exists(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield self._paths.container(entry.name), entry.name

    def _clear(self, own: ContainerPaths, container_id: str) -> None:
        find_group(container_id).remove()
        trees = tuple(str(path) for path in (own.run, own.base) if _is_there(path))
        if trees:
            self._spawner.run_job(RemoveTrees(paths=trees))


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)
