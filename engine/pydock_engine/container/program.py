"""Which program a container runs: the image's, the user's, or the interpreter of a cell's body."""

from __future__ import annotations

import posixpath
import re
import shlex

from ..errors import UsageError
from ..oci.image import ContainerConfig
from .options import RunOptions

_PYTHON = re.compile(r"python(\d+(\.\d+)*)?")
MAX_SHEBANG_BYTES = 4096


def argv(options: RunOptions, config: ContainerConfig) -> tuple[str, ...]:
    """Entrypoint and arguments, merged as docker does.

    A given entrypoint (even an empty one) puts the image's arguments aside along with its
    entrypoint; given arguments replace the image's.

    Raises
    ------
    UsageError
        Nothing is left to run.
    """
    if options.entrypoint is None:
        entrypoint = config.entrypoint or ()
        command = options.command or config.cmd or ()
    else:
        entrypoint = () if options.entrypoint == ("",) else options.entrypoint
        command = options.command
    merged = (*entrypoint, *command)
    if not merged:
        raise UsageError(
            f"no command given, and the image {options.image} names none",
            way_out="add a command after the image's name",
        )
    return merged


def program_for_body(
    body: bytes, config: ContainerConfig, interpreter: str | None = None
) -> tuple[str, ...]:
    """The program that reads a cell's body from its stdin.

    `interpreter` (split like a shell line) wins, then a first line `#!…`, then the image's kind:
    a Python image gets its own Python, anything else `sh`.

    Raises
    ------
    UsageError
        The interpreter's line is empty or has an open quote.
    """
    line = interpreter if interpreter is not None else _shebang(body)
    if line is not None:
        return _split(line)
    python = python_of(config)
    return (python, "-") if python else ("sh",)


def python_of(config: ContainerConfig) -> str | None:
    """The name an image runs its Python by, or None when it is not a Python image."""
    for words in (config.entrypoint, config.cmd):
        if words and _PYTHON.fullmatch(posixpath.basename(words[0])):
            return words[0]
    if any(line.startswith("PYTHON_VERSION=") for line in config.env or ()):
        return "python3"
    return None


def _shebang(body: bytes) -> str | None:
    if not body.startswith(b"#!"):
        return None
    first = body[2 : MAX_SHEBANG_BYTES + 2].split(b"\n", 1)[0]
    return first.decode("utf-8", "replace").strip()


def _split(line: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(f"the interpreter {line!r} cannot be read: {error}") from error
    if not words:
        raise UsageError(
            "the interpreter is empty", way_out="write one after `#!`, or leave it out"
        )
    return words
