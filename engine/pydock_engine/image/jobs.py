"""What the image side asks of helper processes: the seam between it and the spawner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from .. import errors
from ..protocol.messages import Message, Progress, RemoveTrees

BATCH = 500


class JobRunner(Protocol):
    """`spawner.client.Spawner` is one; `testing.jobs.InProcessJobs` another. Thread-safe."""

    def run_job(
        self,
        request: Message,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        fds: tuple[int, ...] = (),
    ) -> Any: ...


def run(
    jobs: JobRunner, request: Message, on_progress: Callable[[Progress], None] | None = None
) -> Any:
    """The job's result; a connection that breaks is a ProtocolError like any other failure."""
    try:
        return jobs.run_job(request, on_progress=on_progress)
    except OSError as error:
        raise errors.ProtocolError(
            f"the helper process of a {type(request).__name__} job vanished: {error}",
            way_out="run the command again",
        ) from error


def remove_trees(jobs: JobRunner, folders: Sequence[Path]) -> None:
    """Removes folders whose files may belong to other ids; starts no job for none."""
    for start in range(0, len(folders), BATCH):
        batch = tuple(str(path) for path in folders[start : start + BATCH])
        run(jobs, RemoveTrees(paths=batch))
