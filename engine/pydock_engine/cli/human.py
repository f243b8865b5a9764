"""How figures are said to people: sizes, ages, short ids."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGES = (
    (365 * 86400, "year"),
    (30 * 86400, "month"),
    (7 * 86400, "week"),
    (86400, "day"),
    (3600, "hour"),
    (60, "minute"),
)


def size(count: int | None) -> str:
    """`4.26 MB` as docker prints sizes: powers of 1000, three figures."""
    if count is None:
        return ""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"


def short_id(identifier: str | None) -> str:
    """The first 12 hex digits of a digest or an id."""
    return (identifier or "").rpartition(":")[2][:12]


def parse_time(text: str | None) -> datetime | None:
    """An RFC 3339 time, as UTC; None when there is none or it cannot be read."""
    match = re.fullmatch(r"(.{19})(\.\d+)?(Z|[+-]\d\d:\d\d)?", text or "")
    if match is None:
        return None
    fraction = (match[2] or ".0")[:7]
    zone = (match[3] or "Z").replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(match[1] + fraction.ljust(7, "0") + zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def age(text: str | None, now: datetime | None = None) -> str:
    """`3 hours ago`; empty when the time is not known."""
    then = parse_time(text)
    if then is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else "in the future"


def span(seconds: float) -> str:
    """`3 hours`, in the largest unit that fits."""
    for unit_s, name in _AGES:
        count = int(seconds // unit_s)
        if count >= 1:
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{int(seconds)} second{'s' if int(seconds) != 1 else ''}"


def clean(text: str) -> str:
    """`text` on one line, without control characters: names from images never steer a terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)
