"""Engine records as DataFrames: the one place that knows pandas."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pydock_engine.cli.human import clean, parse_time, short_id

_TIME = "datetime64[ns, UTC]"

COLUMNS: dict[str, dict[str, str]] = {
    "image ls": {
        "reference": "string",
        "repository": "string",
        "tag": "string",
        "id": "string",
        "digest": "string",
        "platform": "string",
        "created": _TIME,
        "size_bytes": "Int64",
        "layers": "Int64",
    },
    "image history": {
        "created": _TIME,
        "created_by": "string",
        "size_bytes": "Int64",
        "diff_id": "string",
        "digest": "string",
        "empty_layer": "boolean",
        "comment": "string",
    },
    "image layers": {
        "index": "Int64",
        "digest": "string",
        "diff_id": "string",
        "chain_id": "string",
        "size_bytes": "Int64",
        "compressed_bytes": "Int64",
        "files": "Int64",
        "created_by": "string",
        "shared_with": "object",
    },
    "container ls": {
        "id": "string",
        "name": "string",
        "image": "string",
        "command": "string",
        "created_at": _TIME,
        "status": "string",
        "exit_code": "Int64",
        "started_at": _TIME,
        "finished_at": _TIME,
        "isolation": "string",
    },
}
"""What each command's frame holds, in order: the record's fields and their dtypes."""

_HASHES = ("id", "digest", "diff_id", "chain_id")
_WIDTH_WITHOUT_TERMINAL = 150

_PANDAS, _OURS = 'class="dataframe"', 'class="dataframe pydock-frame"'
_ONE_LINE_A_ROW = (
    "<style>.pydock-frame td, .pydock-frame th "
    "{white-space: nowrap !important; text-align: left !important}</style>"
)


class Frame(pd.DataFrame):
    """A DataFrame whose face is readable: digests are shortened as docker does, times are UTC.

    Only the face: the values are whole. `raw` holds what it was made from, when that is more
    than the frame shows (`inspect`: docker's own JSON).
    """

    _metadata = ["raw"]
    raw: Any

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    def __repr__(self) -> str:
        columns = shutil.get_terminal_size((_WIDTH_WITHOUT_TERMINAL, 24)).columns
        with pd.option_context("display.width", columns, "display.max_columns", 20):
            return repr(_face(self))

    def _repr_html_(self) -> str | None:
        html = _face(self)._repr_html_()
        return f"{_ONE_LINE_A_ROW}{html.replace(_PANDAS, _OURS, 1)}" if html else None


def frame(topic: str, records: Sequence[Any]) -> Frame:
    """One row per record; columns and dtypes of `topic`, also when there is no record.

    Returns
    -------
    Frame, shape (records, columns of `COLUMNS[topic]`)
        Unknown times, numbers and texts are NaT and <NA>.
    """
    columns = {
        name: _series([getattr(record, name) for record in records], dtype)
        for name, dtype in COLUMNS[topic].items()
    }
    made = Frame(columns)
    made.raw = list(records)
    return made


def inspect_frame(documents: Sequence[dict[str, Any]]) -> Frame:
    """Docker's JSON as a table: a row per field (`Config.Env`), a column per thing inspected.

    `.raw` is the JSON itself, a list of dictionaries.
    """
    columns = {_title(document): pd.Series(_flat(document), dtype=object) for document in documents}
    made = Frame(columns)
    made.index.name = "field"
    made.raw = list(documents)
    return made


def facts_frame(facts: dict[str, Any]) -> Frame:
    """Named facts as a frame with one column, `value`."""
    made = Frame({"value": pd.Series(facts, dtype=object)})
    made.raw = facts
    return made


def _series(values: list[Any], dtype: str) -> pd.Series:
    if dtype == _TIME:
        return pd.Series([_time(text) for text in values], dtype=dtype)
    return pd.Series(values, dtype=dtype)


def _time(text: str | None) -> Any:
    """The time, or NaT; also for Go's zero time (year 1) and others pandas' nanoseconds lack."""
    found = parse_time(text)
    return found if found is not None and 1678 < found.year < 2262 else pd.NaT


def _title(document: dict[str, Any]) -> str:
    tags = document.get("RepoTags") or [document.get("Name") or document.get("Id") or "value"]
    return str(tags[0]).lstrip("/")


def _flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and value and len(prefix) < 200:
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _face(data: pd.DataFrame) -> pd.DataFrame:
    """A plain copy of at most the rows pandas would show, with values as people read them."""
    shown = pd.DataFrame(data, copy=True)
    for place, name in enumerate(shown.columns):
        column = shown.iloc[:, place]
        if str(column.dtype) == _TIME:
            shown.isetitem(place, column.dt.strftime("%Y-%m-%d %H:%M:%S"))
        elif name in _HASHES:
            shown.isetitem(place, column.map(_short, na_action="ignore"))
        elif column.dtype == object or str(column.dtype) == "string":
            shown.isetitem(place, column.map(_readable, na_action="ignore"))
    return shown


def _short(digest: Any) -> str:
    return clean(short_id(str(digest)))


def _readable(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return clean(", ".join(map(str, value)))
    return clean(value) if isinstance(value, str) else value
