"""Figures as people read them, and text from images made harmless."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydock_engine.cli import human


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (4_261_502, "4.26 MB"),
        (117_810_478, "118 MB"),
        (999_999, "1000 kB"),
        (5 * 10**15, "5 PB"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert human.size(count) == text


def test_ages() -> None:
    now = datetime(2024, 5, 6, 12, tzinfo=UTC)
    assert human.age("2024-05-06T11:59:59Z", now) == "1 second ago"
    assert human.age("2024-05-06T09:00:00.123456789Z", now) == "2 hours ago"
    assert human.age("2022-05-06T09:00:00+02:00", now) == "2 years ago"
    assert human.age("2024-05-07T00:00:00Z", now) == "in the future"
    assert human.age(None, now) == ""


@given(st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    assert human.parse_time(text) is None or human.age(text)


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    assert human.clean(text).isprintable()
    assert len(human.clean(text)) == len(text)
