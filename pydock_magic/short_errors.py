"""Errors in a cell as two lines instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydock_engine.cli.human import clean
from pydock_engine.errors import PydockError

if TYPE_CHECKING:
    from .magics import Pydock

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


@contextmanager
def shortened(magics: Pydock) -> Iterator[None]:
    """Within, errors raised on purpose get a short face, as `short_errors` says.

    IPython asks an exception for `_render_traceback_` before it makes a traceback. Bugs, which are
    not PydockErrors, keep theirs.
    """
    try:
        yield
    except PydockError as error:
        if magics.short_errors:
            _set_face(error, type(error).__name__, error.lines())
        raise
    except KeyboardInterrupt as error:
        if magics.short_errors:
            _set_face(error, "KeyboardInterrupt", [str(error) or "interrupted"])
        raise


def _set_face(error: BaseException, name: str, lines: list[str]) -> None:
    first, *rest = map(clean, lines)
    face = [f"{_RED}{name}{_PLAIN}: {first}", *rest]
    error._render_traceback_ = lambda: face  # type: ignore[attr-defined]
