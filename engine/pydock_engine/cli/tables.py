"""Replies as tables for a shell: rich on a terminal, plain columns in a pipe, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

import msgspec

from . import human

Column = tuple[str, Callable[[Any, bool], str]]
"""A heading, and the text of a record's cell; the flag asks for ids and commands in full."""


def _id(name: str) -> Callable[[Any, bool], str]:
    return lambda record, whole: (
        (getattr(record, name) or "") if whole else human.short_id(getattr(record, name))
    )


def _cut(name: str, width: int) -> Callable[[Any, bool], str]:
    def cell(record: Any, whole: bool) -> str:
        text = " ".join(str(getattr(record, name) or "").split())
        return text if whole or len(text) <= width else text[: width - 1] + "…"

    return cell


def _text(name: str) -> Callable[[Any, bool], str]:
    return lambda record, _: str(getattr(record, name))


def _size(name: str) -> Callable[[Any, bool], str]:
    return lambda record, _: human.size(getattr(record, name))


def _age(name: str) -> Callable[[Any, bool], str]:
    return lambda record, _: human.age(getattr(record, name))


def container_status(record: Any, _: bool = False) -> str:
    """docker's words: `Up 3 minutes`, `Exited (1) 2 hours ago`."""
    if record.status == "running":
        return f"Up {human.age(record.started_at).removesuffix(' ago')}".strip()
    if record.status == "exited":
        return f"Exited ({record.exit_code}) {human.age(record.finished_at)}".strip()
    return str(record.status).capitalize()


COLUMNS: dict[str, tuple[Column, ...]] = {
    "image ls": (
        ("REPOSITORY", _text("repository")),
        ("TAG", _text("tag")),
        ("IMAGE ID", _id("id")),
        ("CREATED", _age("created")),
        ("SIZE", _size("size_bytes")),
    ),
    "image history": (
        ("CREATED", _age("created")),
        ("CREATED BY", _cut("created_by", 60)),
        ("SIZE", _size("size_bytes")),
        ("DIFF ID", _id("diff_id")),
        ("COMMENT", _cut("comment", 30)),
    ),
    "image layers": (
        ("#", _text("index")),
        ("DIGEST", _id("digest")),
        ("DIFF ID", _id("diff_id")),
        ("SIZE", _size("size_bytes")),
        ("COMPRESSED", _size("compressed_bytes")),
        ("FILES", _text("files")),
        ("CREATED BY", _cut("created_by", 44)),
        ("SHARED WITH", lambda record, _: ", ".join(record.shared_with)),
    ),
    "container ls": (
        ("CONTAINER ID", _id("id")),
        ("IMAGE", _text("image")),
        ("COMMAND", _cut("command", 30)),
        ("CREATED", _age("created_at")),
        ("STATUS", container_status),
        ("NAMES", _text("name")),
    ),
}


def as_json(value: Any) -> str:
    """`value` as an indented JSON array; a single record becomes an array of one."""
    records = value if isinstance(value, list) else [value]
    return msgspec.json.format(msgspec.json.encode(records), indent=2).decode()


def as_builtins(value: Any) -> Any:
    """`value` as plain dictionaries and lists, named as the records name their fields."""
    return msgspec.to_builtins(value)


def print_table(topic: str, records: Sequence[Any], out: TextIO, *, whole: bool = False) -> None:
    columns = COLUMNS[topic]
    headings = [heading for heading, _ in columns]
    rows = [[cell(record, whole) for _, cell in columns] for record in records]
    print_rows(headings, rows, out)


def print_facts(value: Any, out: TextIO) -> None:
    """A record as `name: value` lines."""
    for name, text in dict(facts(value)).items():
        out.write(f"{name}: {text}\n")


def facts(value: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    """Every field of a record, nested ones with their path."""
    for name, item in msgspec.to_builtins(value).items():
        if isinstance(item, dict):
            yield from facts(item, "" if name == "facts" else f"{prefix}{name}.")
        elif isinstance(item, list):
            yield f"{prefix}{name}", ", ".join(map(str, item)) or "-"
        else:
            yield f"{prefix}{name}", str(item)


def print_rows(headings: list[str], rows: list[list[str]], out: TextIO) -> None:
    rows = [[human.clean(cell) for cell in cells] for cells in rows]
    if out.isatty():
        _print_rich(headings, rows, out)
        return
    widths = [max(map(len, cells)) for cells in zip(headings, *rows, strict=True)]
    for cells in [headings, *rows]:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        out.write("   ".join(padded).rstrip() + "\n")


def _print_rich(headings: list[str], rows: list[list[str]], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for cells in rows:
        table.add_row(*map(Text, cells))
    Console(file=out, highlight=False).print(table)
