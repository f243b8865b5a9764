"""`--env`, `--env-file` and `--label` as docker reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import UsageError

MAX_ENV_FILE_BYTES = 1 << 20


def merge_environment(
    files: Iterable[str], variables: Iterable[str], caller: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """`NAME=value` of every file, then of every `--env`; later ones win, the first place is kept.

    A `NAME` alone takes the caller's value, and is left out when the caller has none.
    """
    merged: dict[str, str] = {}
    for path in files:
        merged.update(read_env_file(path, caller))
    for text in variables:
        merged.update(parse_env(text, caller))
    return tuple(f"{name}={value}" for name, value in merged.items())


def parse_env(text: str, caller: Mapping[str, str] = os.environ) -> dict[str, str]:
    """One `NAME=value` or `NAME`; empty when the caller does not have NAME."""
    name, equals, value = text.partition("=")
    if not name or "\0" in text:
        raise UsageError(
            f"{text!r} is not an environment variable", way_out="write NAME=value or NAME"
        )
    if equals:
        return {name: value}
    return {name: caller[name]} if name in caller else {}


def read_env_file(path: str, caller: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of a file: a `NAME=value` or `NAME` per line, `#` starts a comment line.

    Quotes are part of the value and nothing is expanded, as with docker.

    Raises
    ------
    UsageError
        The file is missing, too large or not UTF-8, or a line has no usable name.
    """
    found: dict[str, str] = {}
    for number, raw in enumerate(_read(path).split("\n"), 1):
        line = raw.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        name = line.partition("=")[0]
        if not name or name != name.rstrip() or any(c.isspace() for c in name):
            raise UsageError(
                f"{path}, line {number}: {name!r} is not a variable's name",
                way_out="write NAME=value, with no space in the name",
            )
        found.update(parse_env(line, caller))
    return found


def parse_label(text: str) -> tuple[str, str]:
    """`KEY=value`; a KEY alone has an empty value."""
    key, _, value = text.partition("=")
    if not key:
        raise UsageError(f"{text!r} is not a label", way_out="write KEY=value")
    return key, value


def _read(path: str) -> str:
    try:
        with Path(path).expanduser().open("rb") as stream:
            data = stream.read(MAX_ENV_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path}: {(error.strerror or str(error)).lower()}",
            way_out="an env file has a NAME=value per line",
        ) from error
    if len(data) > MAX_ENV_FILE_BYTES:
        raise UsageError(f"{path} is larger than {MAX_ENV_FILE_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error
