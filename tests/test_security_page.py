"""docs/security.md promises nothing that no test attacks."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"


def test_every_promise_names_tests_that_exist() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    promises = rows[rows.index("| promise | attacked by |") + 2 :]
    assert len(promises) > 15
    written = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    for row in promises:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, f"no test named in: {row}"
        assert not set(named) - written, f"no such test: {sorted(set(named) - written)}"
