"""Output in a cell: whole characters, in order, within Jupyter's limits, nothing lost unsaid."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pydock_magic.streaming import TAIL_CHARACTERS, Allowance, CellOutput


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Screen:
    """Both streams of a cell, and the order things were written in."""

    def __init__(self, max_bytes: int = 1 << 20, clock: Clock | None = None, **rate: Any) -> None:
        self.clock = clock or Clock()
        self.order: list[tuple[str, str]] = []
        self.flushes = 0
        streams = {name: _Stream(name, self) for name in ("stdout", "stderr")}
        self.output = CellOutput(
            Allowance(clock=self.clock, **rate),
            max_bytes,
            streams=lambda: streams,
            clock=self.clock,
        )

    def text(self, stream: str | None = None) -> str:
        return "".join(text for name, text in self.order if stream in (None, name))


class _Stream(io.StringIO):
    def __init__(self, name: str, screen: Screen) -> None:
        super().__init__()
        self._name, self._screen = name, screen

    def write(self, text: str) -> int:
        self._screen.order.append((self._name, text))
        return len(text)

    def flush(self) -> None:
        self._screen.flushes += 1


def test_streams_keep_their_own_text_and_their_order() -> None:
    screen = Screen()
    screen.output.write("stdout", b"one\n")
    screen.output.write("stderr", b"two\n")
    screen.output.finish()
    assert screen.order == [("stdout", "one\n"), ("stderr", "two\n")]


@given(st.text(), st.lists(st.integers(0, 40)))
def test_characters_cut_anywhere_arrive_whole(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    screen = Screen()
    start = 0
    for end in sorted(cuts):
        screen.output.write("stdout", data[start:end])
        start = max(start, end)
    screen.output.write("stdout", data[start:])
    screen.output.finish()
    assert screen.text() == data.decode()


def test_an_unfinished_character_is_shown_at_the_end() -> None:
    screen = Screen()
    screen.output.write("stdout", "ä".encode()[:1])
    screen.output.finish()
    assert screen.text() == "\ufffd"


def test_too_much_output_shows_beginning_note_and_end() -> None:
    screen = Screen(max_bytes=10_000)
    for number in range(10_000):
        screen.output.write("stdout", b"line %d\n" % number)
    screen.output.finish("; look there")
    shown = screen.text()
    assert shown.startswith("line 0\nline 1\n")
    assert shown.endswith("line 9999\n")
    assert " characters left out; look there …\n" in shown
    assert len(shown) < 10_000 + TAIL_CHARACTERS + 200


def test_what_is_said_to_be_left_out_is_what_is_missing() -> None:
    screen = Screen(max_bytes=1_000)
    whole = b"".join(b"%06d " % number for number in range(5_000))
    for start in range(0, len(whole), 37):
        screen.output.write("stdout", whole[start : start + 37])
    screen.output.finish()
    before, _, rest = screen.text().partition("… ")
    count, _, after = rest.partition(" characters left out …\n")
    assert len(before.removesuffix("\n")) + int(count.replace(",", "")) + len(after) == len(whole)


def test_rate_stays_below_the_limit_and_goes_on_later() -> None:
    screen = Screen(max_bytes=1 << 30, rate_bytes_s=500_000, burst_bytes=1_000_000)
    for _ in range(100):
        screen.output.write("stdout", b"x" * 63_999 + b"\n")
    assert len(screen.text()) <= 1_000_000
    screen.clock.now += 1.0
    screen.output.write("stdout", b"later\n")
    assert screen.text().endswith("later\n")
    assert "left out" in screen.text()


def test_control_characters_count_six_times() -> None:
    screen = Screen(max_bytes=6_000)
    screen.output.write("stdout", b"\x01" * 5_000)
    assert len(screen.text()) <= 1_000


def test_errors_at_the_end_of_a_flood_are_seen() -> None:
    screen = Screen(max_bytes=1_000)
    screen.output.write("stdout", b"x" * 1_000_000)
    screen.output.write("stderr", b"Traceback: the reason\n")
    screen.output.finish()
    assert screen.text("stderr") == "Traceback: the reason\n"


def test_alternating_streams_are_flushed_at_most_twenty_times_a_second() -> None:
    screen = Screen()
    screen.output._live = False  # as on ipykernel's streams
    for _ in range(1_000):
        screen.output.write("stdout", b"o\n")
        screen.output.write("stderr", b"e\n")
        screen.clock.now += 0.001
    assert screen.flushes <= 21
