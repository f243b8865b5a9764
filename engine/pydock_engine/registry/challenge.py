"""`WWW-Authenticate` headers as values.

Source: RFC 9110 section 11.6.1 (several challenges may share one header, values may be quoted).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PARAMETER = re.compile(rf'({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_SCHEME = re.compile(rf"({_WORD})(?:\s+|$|(?=,))")
_SEPARATOR = re.compile(r"[\s,]*")
MAX_HEADER = 16 << 10


@dataclass(frozen=True)
class Challenge:
    """`scheme` and the names of `parameters` are lower case."""

    scheme: str
    parameters: dict[str, str]


def parse(headers: Iterable[str]) -> list[Challenge]:
    """The challenges of all `headers`, in order; what cannot be understood ends its header."""
    found: list[Challenge] = []
    for header in headers:
        found.extend(_parse_one(header[:MAX_HEADER]))
    return found


def _parse_one(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = _skip(header, 0)
    while position < len(header):
        parameter = _PARAMETER.match(header, position)
        if parameter and found:
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1].parameters.setdefault(name.lower(), value)
            position = _skip(header, parameter.end())
            continue
        scheme = None if parameter else _SCHEME.match(header, position)
        if scheme is None:
            break
        found.append(Challenge(scheme.group(1).lower(), {}))
        position = _skip(header, scheme.end())
    return found


def _skip(header: str, position: int) -> int:
    match = _SEPARATOR.match(header, position)
    return match.end() if match else position
