"""Jobs in this very process: what a spawner would do, without one (for tests as root)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..errors import ProtocolError
from ..image.local_python import collect_local_image
from ..layer.commit import commit_layer
from ..layer.remove import remove_trees
from ..layer.unpack import unpack_layer
from ..protocol.messages import (
    BuildLocalImage,
    CommitLayer,
    Message,
    Progress,
    RemoveTrees,
    UnpackLayer,
)


class InProcessJobs:
    """A JobRunner. `requests` remembers what was asked, in order.

    Jobs are made for single-threaded processes (they set the umask), so they take turns here.
    """

    def __init__(self, level: str = "root") -> None:
        self.requests: list[Message] = []
        self._level = level
        self._turn = threading.Lock()

    def run_job(
        self,
        request: Message,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        fds: tuple[int, ...] = (),
    ) -> Any:
        with self._turn:
            self.requests.append(request)
            return self._run(request, on_progress, fds)

    def _run(
        self,
        request: Message,
        on_progress: Callable[[Progress], None] | None,
        fds: tuple[int, ...],
    ) -> Any:
        def report(current: int, total: int = 0, note: str = "") -> None:
            if on_progress is not None:
                on_progress(Progress(current=current, total=total, note=note))

        match request:
            case UnpackLayer():
                fd = fds[0] if fds else None
                return unpack_layer(request, fd, report, level=self._level)
            case CommitLayer():
                return commit_layer(request, report, level=self._level)
            case RemoveTrees():
                return remove_trees(request, report)
            case BuildLocalImage():
                return collect_local_image(request, report)
        raise ProtocolError(f"{type(request).__name__} cannot run in this process")
