"""What a command gets besides its options, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ...engine import Engine
    from ...image.records import PullProgress

OnOutput = Callable[[str, bytes], None]
"""Called with `stdout` or `stderr` and bytes as they come."""
OnProgress = Callable[["PullProgress"], None]
Progress = Callable[[str], AbstractContextManager[OnProgress | None]]
"""Opened with a title around something slow; what it gives is called with each step."""


def no_progress(title: str) -> AbstractContextManager[OnProgress | None]:
    return nullcontext()


@dataclass(kw_only=True)
class Front:
    """Who asks: a shell or a cell. Travels as click's `obj`.

    `root` is where the engine keeps things (None: the usual place); `body` is the text of a cell,
    and `stdin` a descriptor to hand to the program.
    """

    root: str | None = None
    default_image: str = ""
    body: bytes | None = None
    stdin: Callable[[], int] | None = None
    on_output: OnOutput | None = None
    progress: Progress = no_progress
    forward_signals: bool = False
    """Hand SIGINT and SIGTERM on to a foreground program instead of acting on them."""
    open_engine: Callable[[str | None], Engine] = field(default_factory=lambda: _open_engine)

    @cached_property
    def engine(self) -> Engine:
        return self.open_engine(self.root)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a command answered: `value` is a record, a list of records, or an iterator of them.

    `topic` says which command it was (`image ls`), whatever alias it was called by, so that a
    caller knows how to show an empty list; `options` are the command's own.
    """

    topic: str
    value: Any
    options: dict[str, Any] = field(default_factory=dict)


def front() -> Front:
    """The front of the command being run."""
    found: Front = click.get_current_context().find_object(Front) or Front()
    return found


def _open_engine(root: str | None) -> Engine:
    from ...engine import Engine

    return Engine(root)
