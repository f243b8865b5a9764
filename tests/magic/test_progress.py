"""Progress of a pull: bars in one display, ten updates a second at most, silent without work."""

from __future__ import annotations

import io

import pytest
from pydock_engine.cli.progress import progress_on
from pydock_engine.image.records import PullProgress

from pydock_magic.progress import Bars


class Display:
    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, shown: object, display_id: bool) -> Display:
        self.update(shown)
        return self

    def update(self, shown: object) -> None:
        self.shown.append(repr(shown))


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    display = Display()
    monkeypatch.setattr("IPython.display.display", display)
    return display


def step(
    current: int, phase: str = "downloading", digest: str = "sha256:" + "ab" * 32
) -> PullProgress:
    return PullProgress(digest=digest, phase=phase, current=current, total=1000)


def test_updates_are_at_most_ten_a_second_and_the_last_state_is_shown(display: Display) -> None:
    now = [50.0]
    with Bars("pulling x", clock=lambda: now[0]) as report:
        for current in range(1000):
            now[0] += 0.001
            report(step(current))
        report(step(1000, "done"))
    assert 8 <= len(display.shown) <= 12
    assert "done" in display.shown[-1]
    assert "abababababab" in display.shown[-1]


def test_nothing_is_shown_when_nothing_happens(display: Display) -> None:
    with Bars("pulling x"):
        pass
    assert display.shown == []


def test_an_error_is_told(display: Display) -> None:
    bars = Bars("pulling x")
    bars.report(step(1))
    bars.__exit__(OSError, OSError("no"), None)
    assert "stopped" in display.shown[-1]


def test_names_are_escaped() -> None:
    bars = Bars("<b>")
    bars._steps["x"] = PullProgress(digest="<i>", phase="<u>", current=0, total=0)
    html = bars._repr_html_()
    assert not any(tag in html for tag in ("<b>", "<i>", "<u>"))


def test_plain_lines_in_a_pipe_tell_each_layer_once() -> None:
    stream = io.StringIO()
    with progress_on(stream, "pulling x") as report:
        for current in (1, 500):
            report(step(current))
        report(step(1000, "done"))
        report(step(1000, "done"))
    assert stream.getvalue() == "pulling x\nabababababab: done (1 kB)\n"
