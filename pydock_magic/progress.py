"""Progress of a pull in a cell: HTML bars with a text face, or plain lines outside a kernel."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pydock_engine.cli import human
from pydock_engine.cli.progress import amount, label, lines_on, row, share

from .display import COLOURS

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from pydock_engine.image.records import PullProgress

UPDATE_INTERVAL_S = 0.1
"""At most ten updates a second."""

_BAR_WIDTH = 24


def progress_in(
    shell: InteractiveShell, title: str
) -> AbstractContextManager[Callable[[PullProgress], None]]:
    """Bars in a kernel, lines on stderr in plain IPython."""
    if hasattr(shell, "kernel"):
        return Bars(title)
    return lines_on(sys.stderr, title)


class Bars:
    """One display that is updated in place; `report` may be called from several threads.

    Nothing is shown before the first step, so what is here already stays silent.
    """

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._clock = clock
        self._steps: dict[str, PullProgress] = {}
        self._lock = threading.Lock()
        self._context = contextvars.copy_context()  # ipykernel finds the cell through it
        self._handle: Any = None
        self._started = clock()
        self._updated = 0.0
        self._over = ""
        self._well = False

    def __enter__(self) -> Callable[[PullProgress], None]:
        return self.report

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            took_s = self._clock() - self._started
            self._well = kind is None
            self._over = f"stopped after {took_s:.1f} s" if kind else f"{took_s:.1f} s"
            if self._handle is not None:
                self._context.run(self._handle.update, self)

    def report(self, step: PullProgress) -> None:
        with self._lock:
            self._steps[row(step)] = step
            now = self._clock()
            if now - self._updated < UPDATE_INTERVAL_S:
                return
            self._updated = now
            self._context.run(self._show)

    def _show(self) -> None:
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self, display_id=True)
        else:
            self._handle.update(self)

    def _rows(self) -> Iterator[tuple[PullProgress, float]]:
        """Each step, and how full its bar is: all are full once all went well."""
        for step in self._steps.values():
            yield step, 1.0 if self._well else share(step)

    def __repr__(self) -> str:
        head = f"{self._title}  {self._over}".rstrip()
        return "\n".join([head, *(_text_bar(*one) for one in self._rows())])

    def _repr_html_(self) -> str:
        over = f" <span style='opacity:.65'>{escape(self._over)}</span>" if self._over else ""
        rows = "".join(_html_bar(*one) for one in self._rows())
        return (
            "<div style='font-family:var(--jp-ui-font-family,sans-serif);font-size:13px'>"
            f"<div>{escape(human.clean(self._title))}{over}</div><table style='margin:2px 0'>{rows}"
            "</table></div>"
        )


def _text_bar(step: PullProgress, fill: float) -> str:
    full = round(fill * _BAR_WIDTH)
    bar = "█" * full + "░" * (_BAR_WIDTH - full)
    return human.clean(f"{label(step.digest):14}{bar} {step.phase} {amount(step)}").rstrip()


def _html_bar(step: PullProgress, fill: float) -> str:
    colour = COLOURS["good" if fill == 1.0 else "plain"]
    bar = (
        "<div style='width:180px;height:8px;border-radius:4px;background:rgba(128,128,128,.25)'>"
        f"<div style='width:{fill:.0%};height:8px;border-radius:4px;background:{colour}'>"
        "</div></div>"
    )
    name, phase, size = (
        escape(human.clean(text)) for text in (label(step.digest), step.phase, amount(step))
    )
    return (
        f"<tr style='background:none'><td><code>{name}</code></td><td>{bar}</td>"
        f"<td style='text-align:left'>{phase}</td><td>{size}</td></tr>"
    )
