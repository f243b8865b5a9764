"""`%system`: what is shown of the engine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydock_engine.cli.tables import as_builtins, facts

if TYPE_CHECKING:
    from pydock_engine.cli.grammar import Reply

    from ..magics import Pydock


def _show_facts(_: Pydock, reply: Reply) -> Any:
    """A frame with a row per fact; `--format json` gives a dictionary."""
    if reply.options.get("format_") == "json":
        return as_builtins(reply.value)
    from ..frames import facts_frame

    return facts_frame(dict(facts(reply.value)))


SHOW = {"system info": _show_facts, "system doctor": _show_facts, "system version": _show_facts}
