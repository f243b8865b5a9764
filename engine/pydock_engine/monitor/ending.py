"""How a container's end is put on disk, before anybody is told of it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import msgspec

from .. import errors
from ..container.launch import Launched
from ..container.plan import Plan
from ..container.records import ContainerState
from ..layer.remove import remove_trees
from ..paths import ContainerPaths, Paths
from ..protocol.channel import Listener
from ..protocol.messages import Exited, RemoveTrees
from ..store.containers import ContainerStore
from ..store.database import Database
from . import state as states
from .log import LogWriter
from .loop import Ended


@dataclass(frozen=True)
class Kept:
    """One container and where it lies: what a monitor holds all its life."""

    paths: Paths
    own: ContainerPaths
    plan: Plan
    lock: int
    log: LogWriter
    listener: Listener

    @property
    def id(self) -> str:
        return self.plan.record.id

    @property
    def is_of_one_use(self) -> bool:
        """--rm: nothing of it will be there after its end."""
        return self.plan.record.options.rm


class Ending:
    """Made while the program runs, so that its end has to wait for as little as possible."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._database = Database(kept.paths.database)
        if kept.is_of_one_use:
            with contextlib.suppress(errors.StoreError):  # told at the end, should it last
                self._database.connect()

    def record(self, launched: Launched, final: ContainerState) -> None:
        """Writes the end, or with --rm takes everything away; then it can be started again."""
        launched.cgroup.remove()
        launched.init.close()
        if self._kept.is_of_one_use:
            _remove(self._kept, self._database)
        else:
            states.write(self._kept.own, final)
            _remove_run(self._kept.own)
        os.close(self._kept.lock)


def final_state(
    running: ContainerState, ended: Ended, launched: Launched, log: LogWriter, duration_s: float
) -> ContainerState:
    return msgspec.structs.replace(
        running,
        status="exited",
        pid=0,
        exit_code=ended.exit_code,
        oom_killed=launched.cgroup.oom_kills() > 0,
        timed_out=ended.timed_out,
        error=f"the log is incomplete: {log.failed}" if log.failed else "",
        finished_at=ended.finished_at,
        duration_s=duration_s,
    )


def exited(final: ContainerState) -> Exited:
    return Exited(
        exit_code=final.exit_code,
        oom_killed=final.oom_killed,
        timed_out=final.timed_out,
        started_at=final.started_at,
        finished_at=final.finished_at,
        duration_s=final.duration_s,
        error=final.error,
    )


def record_failure(own: ContainerPaths, kept: Kept | None, error: errors.PydockError) -> None:
    """A container that could not start stays as created, with the reason; --rm removes it."""
    if kept is not None and kept.is_of_one_use:
        _remove(kept, Database(kept.paths.database))
        return
    reason = ContainerState(status="created", exit_code=error.exit_status, error=error.message)
    with contextlib.suppress(errors.PydockError):
        states.write(own, reason)
    _remove_run(own)


def _remove(kept: Kept, database: Database) -> None:
    """Row first, base last: a folder without a row is a leftover that anybody finds and clears.

    The database is left open: closing it could be the moment of a checkpoint, and this process
    ends soon.
    """
    ContainerStore(database).remove(kept.id)
    remove_trees(RemoveTrees(paths=(str(kept.own.run), str(kept.own.base))), lambda *_: None)


def _remove_run(own: ContainerPaths) -> None:
    remove_trees(RemoveTrees(paths=(str(own.run),)), lambda *_: None)
