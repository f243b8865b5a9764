"""Time as docker writes it: RFC 3339, UTC, nanoseconds."""

from __future__ import annotations

import time


def rfc3339(nanoseconds: int) -> str:
    """`2026-01-31T12:00:00.123456789Z` for nanoseconds since the epoch."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def now() -> str:
    return rfc3339(time.time_ns())
