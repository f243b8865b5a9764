"""The `pydock` command: one line in, tables or JSON out, an exit status back."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import PydockError
from .grammar import Front, Reply, pydock, run_line
from .human import clean

if TYPE_CHECKING:
    from ..container.records import RunResult

BROKEN_PIPE_STATUS = 141
"""What a shell reports for a program that SIGPIPE ended."""
INTERRUPTED_STATUS = 130

_MAGIC = re.compile(r"%%?(image|container|system)\b")


def run_shell(arguments: Sequence[str]) -> int:
    """Exit status of `pydock ARGUMENTS…`; prints what it answers."""
    from .progress import progress_on
    from .stdio import RawOutput

    front = Front(
        stdin=sys.stdin.fileno,
        on_output=RawOutput(),
        progress=lambda title: progress_on(sys.stderr, title),
        forward_signals=True,
    )
    try:
        reply = run_line(pydock, arguments, front, "pydock")
        status = _SHOW.get(reply.topic, _show_records)(reply)
        sys.stdout.flush()
        return status
    except PydockError as error:
        print_error(error)
        return error.exit_status
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE_STATUS
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS


def print_error(error: PydockError) -> None:
    """The two lines of an error, on stderr; advice given for a cell is said as a shell says it."""
    first, *rest = (_MAGIC.sub(r"pydock \1", clean(line)) for line in error.lines())
    sys.stderr.write(f"pydock: {first}\n")
    for line in rest:
        sys.stderr.write(f"  {line}\n")


def _show_records(reply: Reply) -> int:
    from . import tables

    if reply.options.get("format_") == "json":
        print(tables.as_json(reply.value))
    elif isinstance(reply.value, list) and reply.topic in tables.COLUMNS:
        if reply.options.get("quiet"):
            _show_lines(reply)
        else:
            whole = bool(reply.options.get("no_trunc"))
            tables.print_table(reply.topic, reply.value, sys.stdout, whole=whole)
    else:
        tables.print_facts(reply.value, sys.stdout)
    return 0


def _show_lines(reply: Reply) -> int:
    """Ids, names or exit codes: one a line."""
    no_trunc = reply.options.get("no_trunc", True)
    for item in reply.value:
        print(item if no_trunc else _short(str(item)))
    return 0


def _short(identifier: str) -> str:
    from .human import short_id

    return short_id(identifier)


def _show_removed(reply: Reply) -> int:
    for removal in reply.value:
        for name in removal.untagged:
            print(f"Untagged: {name}")
        for identifier in removal.deleted:
            print(f"Deleted: {identifier}")
    return 0


def _show_json(reply: Reply) -> int:
    from .tables import as_json

    print(as_json(reply.value))
    return 0


def _show_text(reply: Reply) -> int:
    print(reply.value)
    return 0


def _show_pulled(reply: Reply) -> int:
    print(reply.value.reference)
    return 0


def _show_run(reply: Reply) -> int:
    if reply.options["detach"]:
        print(reply.value.id)
        return 0
    result: RunResult = reply.value
    for missing in result.not_applied:
        sys.stderr.write(f"pydock: not applied: {missing}\n")
    if result.timed_out:
        from ..errors import ContainerTimeout

        sys.stderr.write("pydock: the program ran longer than --timeout and was ended\n")
        return ContainerTimeout.exit_status
    if result.oom_killed:
        sys.stderr.write("pydock: the program needed more memory than --memory gave it\n")
    return result.exit_code


def _show_logs(reply: Reply) -> int:
    from .stdio import RawOutput

    write = RawOutput()
    for entry in reply.value:
        stamp = f"{entry.time} ".encode() if reply.options["timestamps"] else b""
        write(entry.stream, stamp + entry.data)
    return 0


def _forget_stdout() -> None:
    """Nobody reads stdout any more: keep the interpreter from flushing it at exit."""
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


_SHOW: dict[str, Callable[[Reply], int]] = {
    "text": _show_text,
    "image pull": _show_pulled,
    "image inspect": _show_json,
    "container inspect": _show_json,
    "inspect": _show_json,
    "container run": _show_run,
    "container logs": _show_logs,
    "image rm": _show_removed,
    **{f"container {verb}": _show_lines for verb in ("start", "stop", "kill", "wait", "rm")},
}
