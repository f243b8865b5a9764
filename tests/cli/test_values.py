"""Numbers with units as they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydock_engine.cli.values import parse_cpus, parse_duration, parse_pids_limit, parse_size
from pydock_engine.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1024", 1024),
        ("64k", 65536),
        ("512m", 512 << 20),
        ("512M", 512 << 20),
        ("512mb", 512 << 20),
        ("512MiB", 512 << 20),
        ("1.5g", 3 << 29),
        ("2t", 2 << 40),
    ],
)
def test_sizes_are_read_as_docker_reads_them(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "m", "-1", "5q", "1e3", "512 mm", "nan", "99999p", "٣m\n x"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert repr(text) in caught.value.message
    assert "512m" in caught.value.way_out


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("5s", 5), ("2m", 120), ("1h30m", 5400), ("500ms", 0.5), ("1.5s", 1.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5s", "5x", "s", "5s5", "1y", "9999999999", "inf"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf", "1e9"])
def test_what_is_no_number_of_processors_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_cpus(text)


def test_pids_limit_of_minus_one_is_no_limit() -> None:
    assert parse_pids_limit("-1") is None
    assert parse_pids_limit("0") is None
    assert parse_pids_limit("100") == 100


@given(st.text())
def test_any_text_is_a_value_or_a_usage_error(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_cpus, parse_pids_limit):
        try:
            value = parse(text)
        except UsageError:
            continue
        assert value is None or value >= 0
