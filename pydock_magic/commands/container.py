"""`%container` and `%%container`: output while it runs, and what is shown afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydock_engine.cli.grammar import pydock
from pydock_engine.cli.values import parse_size
from pydock_engine.errors import ContainerError, ContainerTimeout

from ..results import Container, Logs, Result, last_line
from ..streaming import CellOutput
from .image import show_frame, show_inspect, show_names

if TYPE_CHECKING:
    import click
    from pydock_engine.cli.grammar import Front, Reply

    from ..magics import Pydock


def cell_command() -> click.Command:
    """What parses the option line of `%%container`: the same command as `pydock run`."""
    return pydock.commands["run"]


@contextmanager
def output_to_cell(magics: Pydock, front: Front) -> Iterator[None]:
    """Within, what a foreground program writes goes to the cell."""
    output: CellOutput | None = None

    def write(stream: str, data: bytes) -> None:
        nonlocal output
        if output is None:
            output = CellOutput(magics.allowance, parse_size(magics.max_output))
        output.write(stream, data)

    front.on_output = write
    try:
        yield
    finally:
        if output is not None:
            output.finish("; `%container logs` has all of it unless --rm was given")


def _show_run(magics: Pydock, reply: Reply) -> Result | Container:
    if reply.options["detach"]:
        return Container(reply.value)
    result = Result(reply.value)
    wanted = reply.options["raise_error"]
    if result.exit_code != 0 and (magics.raise_error if wanted is None else wanted):
        raise failure(result, reply.options)
    return result


def failure(result: Result, options: dict[str, Any]) -> ContainerError:
    """The exception for a program that ended badly; it carries the result."""
    kind = ContainerError
    if result.timed_out:
        kind = ContainerTimeout
        message = f"the program was ended after {result.duration_s:.1f} s by --timeout"
        way_out = "give it more time, or --no-raise-error to go on with the result"
    elif result.oom_killed:
        message = f"the program ran out of memory and was killed (exit code {result.exit_code})"
        way_out = "give it more with --memory, or --no-raise-error to go on with the result"
    else:
        said = last_line(result.stderr)
        message = f"the program ended with exit code {result.exit_code}" + (said and f": {said}")
        way_out = "--no-raise-error goes on with the result; it is in the exception's .result too"
    if not options["rm"]:
        way_out += f"; %container logs {result.name} shows its output again"
    error = kind(message, way_out=way_out)
    error.result = result
    return error


def _show_logs(magics: Pydock, reply: Reply) -> Logs | None:
    """The log as text; with `--follow` it goes to the cell as it comes."""
    stamps = reply.options["timestamps"]
    limit = parse_size(magics.max_output)
    if not reply.options["follow"]:
        return Logs.collect(reply.value, limit, timestamps=stamps)
    output = CellOutput(magics.allowance, limit)
    try:
        for entry in reply.value:
            output.write(entry.stream, (f"{entry.time} ".encode() if stamps else b"") + entry.data)
    finally:
        output.finish("; `%container logs` has all of it")
    return None


SHOW = {
    "container run": _show_run,
    "container ls": show_frame,
    "container logs": _show_logs,
    "container inspect": show_inspect,
    **{f"container {verb}": show_names for verb in ("start", "stop", "kill", "rm")},
    "container wait": lambda _, reply: list(reply.value),
}
