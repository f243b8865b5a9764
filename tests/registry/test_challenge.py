"""WWW-Authenticate headers of all kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydock_engine.registry.challenge import Challenge, parse


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/b?c=d",service="s",scope="repository:x:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://a/b?c=d",
                        "service": "s",
                        "scope": "repository:x:pull,push",
                    },
                )
            ],
        ),
        (
            'Negotiate, Basic realm=plain , Bearer REALM = "q\\"u\\\\o", x=y',
            [
                Challenge("negotiate", {}),
                Challenge("basic", {"realm": "plain"}),
                Challenge("bearer", {"realm": 'q"u\\o', "x": "y"}),
            ],
        ),
        ("", []),
        ("Basic", [Challenge("basic", {})]),
        (",, ,", []),
        ('realm="orphan"', []),
        ('Bearer realm="unclosed', [Challenge("bearer", {})]),
        ("Bearer a=1, a=2", [Challenge("bearer", {"a": "1"})]),
    ],
)
def test_a_header_is_read(header: str, expected: list[Challenge]) -> None:
    assert parse([header]) == expected


def test_several_headers_are_one_list() -> None:
    assert [c.scheme for c in parse(["Basic realm=a", "Bearer realm=b"])] == ["basic", "bearer"]


@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_header_is_read_without_complaint(headers: list[str]) -> None:
    parse(headers)
