"""selection.txt: which user runs which tests in the machine, and for how long at most."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("selection.txt")
WANTED = "machine.json"
"""How the passes get into the machine: a file of the checkout there."""


@dataclass(frozen=True)
class Pass:
    """One run of pytest."""

    user: str
    limit_s: float
    arguments: tuple[str, ...]


def parse_selection(text: str) -> list[Pass]:
    """A pass per line; empty lines and those that begin with `#` are skipped."""
    passes = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            user, limit_s, *arguments = shlex.split(line)
            passes.append(Pass(user, float(limit_s), tuple(arguments)))
    return passes
