"""What can be said to pydock, once for the shell and the magics. Start at root.py.

Commands never print: `run_line` gives a `Reply` with plain records, and each front shows it its
own way.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from . import mistakes
from .command import TextWanted
from .front import Front, Reply
from .root import pydock

__all__ = ["Front", "Reply", "pydock", "run_line"]


def run_line(entry: click.Command, arguments: Sequence[str], front: Front, program: str) -> Reply:
    """What `entry` answers to `arguments`; `program` is what help texts call it.

    Raises
    ------
    UsageError
        For everything click would have complained about.
    PydockError
        Whatever the engine raised. KeyboardInterrupt passes through (click's own `main` would not
        let it).
    """
    try:
        with entry.make_context(program, list(arguments), obj=front) as context:
            reply: Reply = entry.invoke(context)
            return reply
    except TextWanted as wanted:
        return Reply(topic="text", value=wanted.text)
    except click.ClickException as error:
        raise mistakes.explain(error) from error
