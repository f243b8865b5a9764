"""Frames: dtypes hold with no rows and with odd values; faces are short and harmless."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from pydock_engine.image.records import HistoryEntry

from pydock_magic.frames import COLUMNS, frame, inspect_frame


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    with pd.option_context("display.width", 500, "display.max_columns", 20):
        yield


def entry(**changes: object) -> HistoryEntry:
    fields: dict[str, object] = {
        "created": "2024-05-06T07:08:09.123456789Z",
        "created_by": "RUN x",
        "size_bytes": 5_000_000_000,
        "diff_id": "sha256:" + "ab" * 32,
        "digest": None,
        "empty_layer": False,
        "comment": "",
    }
    return HistoryEntry(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("topic", list(COLUMNS))
def test_an_empty_frame_has_all_columns_and_dtypes(topic: str) -> None:
    made = frame(topic, [])
    assert {name: str(dtype) for name, dtype in made.dtypes.items()} == COLUMNS[topic]


def test_history_dtypes() -> None:
    made = frame("image history", [entry(), entry(size_bytes=None, diff_id=None)])
    assert str(made["created"].dtype) == "datetime64[ns, UTC]"
    assert str(made["size_bytes"].dtype) == "Int64"
    assert made["size_bytes"].tolist() == [5_000_000_000, pd.NA]
    assert str(made["diff_id"].dtype) == "string"
    assert str(made["empty_layer"].dtype) == "boolean"
    assert made["created"][0] == pd.Timestamp("2024-05-06T07:08:09.123456Z")


@pytest.mark.parametrize("created", [None, "", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "x"])
def test_times_that_are_none_are_nat(created: str | None) -> None:
    assert frame("image history", [entry(created=created)])["created"].isna().all()


def test_times_with_an_offset_become_utc() -> None:
    made = frame("image history", [entry(created="2024-05-06T09:08:09+02:00")])
    assert made["created"][0] == pd.Timestamp("2024-05-06T07:08:09Z")


def test_face_is_short_and_the_value_is_whole() -> None:
    made = frame("image history", [entry()])
    assert "abababababab " in repr(made)
    assert "ab" * 32 not in repr(made)
    assert made["diff_id"][0] == "sha256:" + "ab" * 32


def test_face_steers_no_terminal_and_injects_no_html() -> None:
    made = frame("image history", [entry(created_by="\x1b]0;owned\x07 <script>alert(1)</script>")])
    assert "\x1b" not in repr(made)
    html = made._repr_html_()
    assert html is not None
    assert "<script>" not in html
    assert "\x1b" not in html


def test_a_selection_keeps_the_face() -> None:
    made = frame("image history", [entry(), entry()])
    assert "abababababab " in repr(made[made["size_bytes"] > 1])


def test_inspect_of_two_things_is_two_columns() -> None:
    made = inspect_frame(
        [{"Name": "/a", "State": {"Pid": 1}, "E": {}}, {"Name": "/b", "State": {"Pid": 2}}]
    )
    assert list(made.columns) == ["a", "b"]
    assert made.loc["State.Pid"].tolist() == [1, 2]
    assert made.raw[1]["Name"] == "/b"
