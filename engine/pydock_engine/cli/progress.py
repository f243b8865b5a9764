"""Progress of slow things in a shell: rich bars on a terminal, plain lines in a pipe; on stderr."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from . import human

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ..image.records import PullProgress
    from .grammar.front import OnProgress

ENDED = frozenset({"exists", "done"})
"""Phases after which a layer changes no more."""


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
            if step.phase in ENDED and key not in told:
                told.add(key)
                size = f" ({human.size(step.total)})" if step.total else ""
                stream.write(f"{label(step.digest)}: {step.phase}{size}\n")
                stream.flush()

    yield report


@contextmanager
def _bars(stream: TextIO, title: str) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(file=stream, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
    )
    lock = threading.Lock()
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as bars:

        def report(step: PullProgress) -> None:
            shown: dict[str, Any] = {
                "description": human.clean(f"{label(step.digest)} {step.phase}"),
                "completed": share(step),
                "amount": amount(step),
            }
            with lock:
                if not tasks:
                    console.print(title, markup=False)
                key = row(step)
                if key in tasks:
                    bars.update(tasks[key], **shown)
                else:
                    tasks[key] = bars.add_task(total=1.0, **shown)

        yield report
        for task in tasks.values():
            bars.update(task, completed=1.0)


def row(step: PullProgress) -> str:
    """What is shown in one place: a layer, or all that is in a phase without layers yet."""
    return step.digest if ":" in step.digest else step.phase


def label(digest: str) -> str:
    """A layer's short digest, or the name of a step that has none."""
    return human.short_id(digest) if ":" in digest else digest


def share(step: PullProgress) -> float:
    """How much of it is done, 0 to 1."""
    if step.phase in ENDED:
        return 1.0
    return min(1.0, step.current / step.total) if step.total else 0.0


def amount(step: PullProgress) -> str:
    """Bytes of a layer, or how many of the steps that are no layers."""
    if not step.total:
        return ""
    if ":" not in step.digest:
        return f"{step.current + 1} of {step.total}"
    if step.phase in ENDED:
        return human.size(step.total)
    return f"{human.size(step.current)} of {human.size(step.total)}"
