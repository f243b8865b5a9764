"""A program's output in the cell that runs it: live, coloured by stream, below Jupyter's limits.

ipykernel already gathers what is written to its streams and sends it at most five times a second
per stream, so nothing is flushed here except when the other stream starts to speak, and that at
most 20 times a second. What is too much is left out in the middle: the beginning, a line that
says how much is missing, and the end (where errors are) are always shown.
"""

from __future__ import annotations

import codecs
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

FLUSH_INTERVAL_S = 0.05
"""At least this long between two updates we ask for: 20 a second."""

TAIL_CHARACTERS = 4096
"""How much of the end is kept while output is being left out."""

RESUME_BYTES = 128 * 1024
"""Live output goes on once this much may be shown again."""


class Allowance:
    """A token bucket over the bytes all cells of a kernel send to their front end.

    Jupyter's server drops output above 1,000,000 bytes a second, measured over 3 seconds
    (`iopub_data_rate_limit`, `rate_limit_window`), so half of that stays clear of it.
    """

    def __init__(
        self,
        rate_bytes_s: float = 500_000,
        burst_bytes: float = 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate_bytes_s = rate_bytes_s
        self._burst_bytes = burst_bytes
        self._clock = clock
        self._left_bytes = burst_bytes
        self._seen = clock()

    def available(self) -> int:
        now = self._clock()
        grown = self._left_bytes + (now - self._seen) * self._rate_bytes_s
        self._left_bytes = min(self._burst_bytes, grown)
        self._seen = now
        return int(self._left_bytes)

    def take(self, count: int) -> None:
        self._left_bytes -= count


class CellOutput:
    """Where one run's output goes. `write` is the engine's `on_output`; `finish` must follow.

    Parameters
    ----------
    max_bytes
        How much this run may show in all.
    """

    def __init__(
        self,
        allowance: Allowance,
        max_bytes: int,
        *,
        streams: Callable[[], dict[str, TextIO]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowance = allowance
        self._left_bytes = max_bytes
        self._streams = (streams or _standard_streams)()
        self._clock = clock
        self._live = not any(_gathers(stream) for stream in self._streams.values())
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in self._streams
        }
        self._tail: deque[tuple[str, str]] = deque()
        self._tail_length = 0
        self._gap = False
        self._last_stream = ""
        self._last_flush = 0.0
        self._line_open = False
        self.left_out_characters = 0

    def write(self, stream: str, data: bytes) -> None:
        self._show(stream, self._decoders[stream].decode(data))

    def finish(self, hint: str = "") -> None:
        """Shows what is still held back, and `hint` (where all of it is) when something is lost."""
        for stream, decoder in self._decoders.items():
            self._show(stream, decoder.decode(b"", final=True))
        if self._gap:
            self._close_gap(hint)
        for target in self._streams.values():
            target.flush()

    def _show(self, stream: str, text: str) -> None:
        if not text:
            return
        if not self._gap:
            text = self._emit_affordable(stream, text)
        if text:
            self._gap = True
            self._hold(stream, text)
            if min(self._allowance.available(), self._left_bytes) >= RESUME_BYTES:
                self._close_gap("")

    def _emit_affordable(self, stream: str, text: str) -> str:
        """Writes what may be shown now; gives the rest."""
        budget = min(self._allowance.available(), self._left_bytes)
        piece = text if _cost(text) <= budget else text[: max(0, budget) // 6]
        if piece:
            cost = _cost(piece)
            self._allowance.take(cost)
            self._left_bytes -= cost
            self._emit(stream, piece)
        return text[len(piece) :]

    def _hold(self, stream: str, text: str) -> None:
        self._tail.append((stream, text[-TAIL_CHARACTERS:]))
        self._tail_length += min(len(text), TAIL_CHARACTERS)
        self.left_out_characters += max(0, len(text) - TAIL_CHARACTERS)
        while self._tail_length - len(self._tail[0][1]) >= TAIL_CHARACTERS:
            dropped = self._tail.popleft()[1]
            self._tail_length -= len(dropped)
            self.left_out_characters += len(dropped)

    def _close_gap(self, hint: str) -> None:
        if self.left_out_characters:
            start = "\n" if self._line_open else ""
            note = f"{start}… {self.left_out_characters:,} characters left out{hint} …\n"
            self._emit(self._last_stream or "stdout", note)
        held, self._tail = self._tail, deque()
        self._tail_length = self.left_out_characters = 0
        self._gap = False
        for stream, text in held:
            cost = _cost(text)
            self._allowance.take(cost)
            self._left_bytes -= cost
            self._emit(stream, text)

    def _emit(self, stream: str, text: str) -> None:
        now = self._clock()
        if self._last_stream not in ("", stream) and now - self._last_flush >= FLUSH_INTERVAL_S:
            self._streams[self._last_stream].flush()
            self._last_flush = now
        self._streams[stream].write(text)
        if self._live:
            self._streams[stream].flush()
        self._last_stream = stream
        self._line_open = not text.endswith("\n")


def _standard_streams() -> dict[str, TextIO]:
    return {"stdout": sys.stdout, "stderr": sys.stderr}


def _gathers(stream: TextIO) -> bool:
    """Whether `stream` sends by itself a little later, as ipykernel's do."""
    return type(stream).__module__.startswith("ipykernel")


def _cost(text: str) -> int:
    """Bytes of `text` in a message to the front end: JSON, where control characters take six."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
