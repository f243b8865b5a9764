"""What the machine is asked for is what the file says."""

from __future__ import annotations

from pathlib import Path

from tests.vm.guest.passes import SUBORDINATE
from tests.vm.recipe import SOURCE
from tests.vm.selection import FILE, Pass, parse_selection


def test_a_line_is_a_pass_and_comments_are_none() -> None:
    text = "# user limit arguments\n\nroot 60 tests/runtime -k 'memory or cpu'\n"
    assert parse_selection(text) == [Pass("root", 60.0, ("tests/runtime", "-k", "memory or cpu"))]


def test_the_selection_names_what_there_is() -> None:
    passes = parse_selection(FILE.read_text())
    assert {one.user for one in passes} <= {"root", *SUBORDINATE}
    named = [word for one in passes for word in one.arguments if word.startswith("tests/")]
    assert [word for word in named if not Path(SOURCE, word).exists()] == []


def test_the_selection_is_over_within_a_quarter_of_an_hour() -> None:
    assert sum(one.limit_s for one in parse_selection(FILE.read_text())) <= 13 * 60
