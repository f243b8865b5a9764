"""Progress of slow things in a shell: rich bars on a terminal, plain lines in a pipe; on stderr."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from . import human

if TYPE_CHECKING:
    from ..image.records import PullProgress
    from .grammar.front import OnProgress

_TOLD = frozenset({"exists", "done"})


def progress_on(stream: TextIO, title: str) -> AbstractContextManager[OnProgress]:
    """Something to call with each step, from any thread; without a step nothing is shown."""
    return _bars(stream, title) if stream.isatty() else lines_on(stream, title)


@contextmanager
def lines_on(stream: TextIO, title: str) -> Iterator[OnProgress]:
    lock = threading.Lock()
    told: set[tuple[str, str]] = set()
    titled = False

    def report(step: PullProgress) -> None:
        nonlocal titled
        key = (step.digest, step.phase)
        with lock:
            if not titled:
                titled = True
                stream.write(f"{title}\n")
                stream.flush()
            if step.phase in _TOLD and key not in told:
                told.add(key)
                size = f" ({human.size(step.total)})" if step.total else ""
                stream.write(f"{label(step.digest)}: {step.phase}{size}\n")
                stream.flush()

    yield report


@contextmanager
def _bars(stream: TextIO, title: str) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(file=stream, highlight=False)
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    lock = threading.Lock()
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=console) as bars:

        def report(step: PullProgress) -> None:
            description = f"{label(step.digest)} {step.phase}"
            with lock:
                if not tasks:
                    console.print(title, markup=False)
                if step.digest not in tasks:
                    tasks[step.digest] = bars.add_task(description, total=step.total or None)
            bars.update(
                tasks[step.digest],
                description=description,
                completed=step.total if step.phase in _TOLD else step.current,
                total=step.total or None,
            )

        yield report


def label(digest: str) -> str:
    """A layer's short digest, or the name of a step that has none."""
    return human.short_id(digest) if ":" in digest else digest
