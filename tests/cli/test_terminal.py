"""On a terminal: rich tables that fit its width, and bars; nothing an image says steers it."""

from __future__ import annotations

import io

import pytest
from pydock_engine.cli.progress import progress_on
from pydock_engine.cli.tables import print_rows, print_table
from pydock_engine.image.records import PullProgress

from .standin import image_summary


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


def test_table_fits_the_terminal(terminal: Terminal) -> None:
    print_rows(["NAME", "TEXT"], [["a", "x" * 200]], terminal)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 2
    assert "…" in lines[1]


def test_table_text_is_not_markup_and_steers_nothing(terminal: Terminal) -> None:
    print_rows(["NAME"], [["[red]x[/red] \x1b]0;owned\x07"]], terminal)
    shown = terminal.getvalue()
    assert "[red]x[/red]" in shown
    assert "\x1b]0" not in shown


def test_plain_table_steers_nothing() -> None:
    pipe = io.StringIO()
    print_rows(["NAME"], [["\x1b]0;owned\x07"]], pipe)
    assert "\x1b" not in pipe.getvalue()


def test_whole_ids_on_request() -> None:
    pipe = io.StringIO()
    print_table("image ls", [image_summary("a:1")], pipe, whole=True)
    assert "sha256:" + "ab" * 32 in pipe.getvalue()


def test_bars_show_each_layer_and_end_full(terminal: Terminal) -> None:
    with progress_on(terminal, "pulling x") as report:
        report(PullProgress(digest="packages", phase="collecting", current=0, total=3))
        for phase, current in (("downloading", 10), ("done", 100)):
            digest = "sha256:" + "ab" * 32
            report(PullProgress(digest=digest, phase=phase, current=current, total=100))
    shown = terminal.getvalue()
    assert "pulling x" in shown
    assert "abababababab done" in shown
    assert "100 B" in shown


def test_bars_show_nothing_when_nothing_happens(terminal: Terminal) -> None:
    with progress_on(terminal, "pulling x"):
        pass
    assert "pulling x" not in terminal.getvalue()
