"""click types over cli/values.py and its neighbours: an error names the flag and the value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from ...container.signals import signal_number
from ...errors import Unsupported, UsageError
from .. import environment, mounts, security, values
from .mistakes import flag_name


class Parsed(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since click 8.4
    """Whatever `parse` makes of the text; its UsageError is given the flag's name."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except (UsageError, Unsupported) as error:
            raise type(error)(
                f"{flag_name(param)}: {error.message}", way_out=error.way_out
            ) from None


def _hostname(text: str) -> str:
    """RFC 1123 names, at most 64 characters (the kernel's limit)."""
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text) or len(text) > 64:
        raise UsageError(
            f"{text!r} is not a host name", way_out="use letters, digits and -, 64 at most"
        )
    return text


def _signal_name(text: str) -> str:
    signal_number(text)
    return text


def _tail(text: str) -> int | None:
    """A number of lines; `all` is None."""
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{text!r} is not a number of lines", way_out="write it like 100, or all")
    return int(text)


SIZE = Parsed("size", values.parse_size)
DURATION = Parsed("duration", values.parse_duration)
CPUS = Parsed("number", values.parse_cpus)
PIDS = Parsed("number", values.parse_pids_limit)
SIGNAL = Parsed("signal", signal_number)
HOSTNAME = Parsed("name", _hostname)
SIGNAL_NAME = Parsed("signal", _signal_name)
VOLUME = Parsed("source:target[:ro]", mounts.parse_volume)
TMPFS = Parsed("target[:options]", mounts.parse_tmpfs)
LABEL = Parsed("key=value", environment.parse_label)
SECURITY = Parsed("option", security.parse_security)
TAIL = Parsed("lines", _tail)
