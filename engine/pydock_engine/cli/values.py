"""Numbers with units as people type them: sizes, durations, processors, processes."""

from __future__ import annotations

import re

from ..errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_SIZE_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|s|m|h|d)")
_DURATION_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

MAX_BYTES = 2**62
"""Larger than any machine, smaller than the kernel's signed 64-bit limits."""
MAX_DURATION_S = 366 * 86400.0


def parse_size(text: str) -> int:
    """Bytes from docker's notation: `512m`, `1.5g`, `64k`, plain bytes; powers of 1024."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size", way_out="write it like 512m or 2g")
    number = float(match[1]) * 1024 ** _SIZE_POWER[match[2].lower()]
    if number > MAX_BYTES:
        raise UsageError(f"{text!r} is larger than any machine", way_out="write it like 512m or 2g")
    return int(number)


def parse_duration(text: str) -> float:
    """Seconds from `5s`, `2m`, `1h30m`, `500ms`; a bare number is seconds. Always above zero."""
    wrong = UsageError(f"{text!r} is not a duration", way_out="write it like 5s, 2m or 1h30m")
    stripped = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        seconds = float(stripped)
    else:
        parts = _DURATION_PART.findall(stripped)
        if not parts or "".join(number + unit for number, unit in parts) != stripped:
            raise wrong
        seconds = sum(float(number) * _DURATION_UNIT_S[unit] for number, unit in parts)
    if not 0 < seconds <= MAX_DURATION_S:
        raise UsageError(
            f"{text!r} is out of range", way_out="a duration is above zero and below a year"
        )
    return seconds


def parse_cpus(text: str) -> float:
    """How many processors' worth of time: `0.5`, `2`."""
    try:
        cpus = float(text)
    except ValueError:
        cpus = 0.0
    if not 0.01 <= cpus <= 65536:
        raise UsageError(
            f"{text!r} is not a number of processors", way_out="write it like 0.5 or 2"
        )
    return cpus


def parse_pids_limit(text: str) -> int | None:
    """A number of processes; 0 and -1 mean no limit (None), as docker has it."""
    try:
        limit = int(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a number of processes", way_out="write it like 100"
        ) from None
    if limit < -1 or limit > 2**22:
        raise UsageError(
            f"{text!r} is not a number of processes", way_out="use 1 to 4194304, or -1 for no limit"
        )
    return limit if limit > 0 else None
