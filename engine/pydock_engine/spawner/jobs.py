"""What the spawner's children do when they are not monitors: one request, one answer.

A job runs single-threaded, inside the right user namespace, and may be killed at any line.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import errors
from ..layer.commit import commit_layer
from ..layer.remove import remove_trees
from ..layer.unpack import unpack_layer
from ..paths import Paths
from ..protocol.channel import Channel, failed
from ..protocol.messages import (
    BuildLocalImage,
    CommitLayer,
    Failed,
    JobDone,
    Message,
    Progress,
    RemoveTrees,
    UnpackLayer,
)

PROGRESS_INTERVAL_S = 0.05

JOBS = (UnpackLayer, CommitLayer, RemoveTrees, BuildLocalImage)
Report = Callable[[int, int, str], None]


def run_job(channel: Channel, request: Message, fds: list[int], paths: Paths, level: str) -> None:
    """Does `request` and answers it with JobDone or Failed, whatever happens.

    A client that hung up ends the job at its next report (BrokenPipeError).
    """
    answer: Message
    try:
        answer = JobDone(result=_perform(request, fds, _Reporter(channel), paths, level))
    except errors.PydockError as error:
        answer = failed(error)
    except OSError as error:
        traceback.print_exc(file=sys.stderr)
        answer = failed(as_pydock_error(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        answer = unexpected(error)
    channel.send(answer)


def as_pydock_error(error: OSError) -> errors.PydockError:
    """An OSError nobody expected, as the error a user can act on."""
    path = error.filename if error.filename is not None else "the store"
    where = os.fsdecode(path) if isinstance(path, str | bytes) else str(path)
    return errors.disk_error(error, where)


def unexpected(error: Exception) -> Failed:
    """A fault of our own: its kind for the user, the traceback for spawner.log."""
    line = str(error).splitlines()[0][:200] if str(error) else "no message"
    return Failed(
        error="ProtocolError",
        message=f"a helper process failed: {type(error).__name__}: {line}",
        way_out="the traceback is in spawner.log in the run directory",
    )


def _perform(
    request: Message, fds: list[int], report: Report, paths: Paths, level: str
) -> dict[str, Any] | None:
    match request:
        case UnpackLayer():
            _check_below(paths.layers_ingest, request.target)
            return unpack_layer(request, fds[0] if fds else None, report, level=level)
        case CommitLayer():
            _check_below(paths.layers_ingest, request.source)
            for path in (request.destination, *request.parents):
                _check_below(paths.layers, path)
            commit_layer(request, report, level=level)
        case RemoveTrees():
            for path in request.paths:
                _check_removable(paths, path)
            remove_trees(request, report, below=(paths.root, paths.run))
        case BuildLocalImage():
            _check_below(paths.root, request.target)
            # A rare job, whose libraries (9 MB) would weigh on every fork.
            from ..image.local_python import collect_local_image

            return collect_local_image(request, report)
        case _:
            raise errors.ProtocolError(f"{type(request).__name__} is not a job")
    return None


def _check_removable(paths: Paths, path: str) -> None:
    if not (_is_below(paths.root, path) or _is_below(paths.run, path)):
        raise errors.UsageError(f"refusing to remove {path}: it is not below {paths.root}")


def _check_below(folder: Path, path: str) -> None:
    if not _is_below(folder, path):
        raise errors.UsageError(f"{path} is not below {folder}")


def _is_below(folder: Path, path: str) -> bool:
    """Whether `path`, links in its parent resolved, is a name somewhere below `folder`."""
    head, name = os.path.split(path)
    if not os.path.isabs(path) or name in ("", ".", ".."):
        return False
    parent = os.path.realpath(head)
    top = os.path.realpath(folder)
    return parent == top or parent.startswith(top.rstrip("/") + "/")


class _Reporter:
    """Sends Progress at most every PROGRESS_INTERVAL_S, a change of note at once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._due = 0.0
        self._note = ""

    def __call__(self, current: int, total: int = 0, note: str = "") -> None:
        now = time.monotonic()
        if now < self._due and note == self._note:
            return
        self._due = now + PROGRESS_INTERVAL_S
        self._note = note
        self._channel.send(Progress(current=current, total=total, note=note))
