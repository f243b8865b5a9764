"""`%image`: what is shown of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydock_engine.cli.tables import as_builtins

from ..display import Names
from ..results import Pulled, Removed

if TYPE_CHECKING:
    from pydock_engine.cli.grammar import Reply

    from ..magics import Pydock


def show_frame(_: Pydock, reply: Reply) -> Any:
    """Records as a DataFrame; with `-q` their ids, with `--format json` plain dictionaries."""
    if reply.options.get("quiet"):
        return Names(reply.value)
    if reply.options.get("format_") == "json":
        return as_builtins(reply.value)
    from ..frames import frame

    return frame(reply.topic, reply.value)


def show_inspect(_: Pydock, reply: Reply) -> Any:
    from ..frames import inspect_frame

    return inspect_frame(reply.value)


def show_names(_: Pydock, reply: Reply) -> Names:
    return Names(reply.value)


def _show_pulled(_: Pydock, reply: Reply) -> Pulled:
    return Pulled(reply.value)


def _show_removed(_: Pydock, reply: Reply) -> Removed:
    return Removed(reply.value)


SHOW = {
    "image pull": _show_pulled,
    "image ls": show_frame,
    "image history": show_frame,
    "image layers": show_frame,
    "image inspect": show_inspect,
    "image rm": _show_removed,
}
