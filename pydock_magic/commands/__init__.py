"""From a magic's line to its result: the grammar answers, a module per noun shows the answer.

Start at `execute`. image.py, container.py and system.py each have `SHOW`: topic → what becomes
of the records.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from pydock_engine.cli.grammar import Front, pydock, run_line
from pydock_engine.errors import UsageError

from ..progress import progress_in
from . import container, image, system

if TYPE_CHECKING:
    import click

    from ..magics import Pydock

SHOW = {**image.SHOW, **container.SHOW, **system.SHOW}


def execute(magics: Pydock, noun: str, line: str, body: str | None = None) -> Any:
    """The value of a line magic, or of a `%%container` cell when there is a `body`.

    Raises
    ------
    PydockError
        UsageError for a line that makes no sense; ContainerError for a program that ended badly,
        when the options say so; whatever the engine raised.
    """
    arguments = split(line)
    front = Front(
        root=magics.root or None,
        default_image=magics.default_image,
        progress=lambda title: progress_in(magics.shell, title),
        open_engine=lambda _: magics.engine,
    )
    entry, program = _entry(noun), f"%{noun}"
    if body is not None:
        entry, program = container.cell_command(), f"%%{noun}"
        arguments = arguments[arguments[:1] == ["run"] :]
        front.body = body.encode("utf-8", "surrogatepass")
    with container.output_to_cell(magics, front):
        reply = run_line(entry, arguments, front, program)
    if reply.topic == "text":
        from ..display import Text

        return Text(reply.value)
    return SHOW[reply.topic](magics, reply)


def split(line: str) -> list[str]:
    """The words of a line, quoted as in a shell; `$` and `{}` mean nothing."""
    try:
        return shlex.split(line)
    except ValueError as error:
        reason = str(error).lower()
        raise UsageError(f"the line cannot be read: {reason}", way_out="close the quote") from None


def _entry(noun: str) -> click.Command:
    return pydock.commands[noun]
