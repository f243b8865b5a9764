"""What commands give back: a run's `Result`, a detached `Container`, a `Pulled` image, `Logs`."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from pydock_engine.cli import human

from .display import COLOURS, Card

if TYPE_CHECKING:
    from pydock_engine.container.container import Container as EngineContainer
    from pydock_engine.container.records import LogEntry, RunResult
    from pydock_engine.image.records import ImageRemoval, ImageSummary

STREAMS = ("stdout", "stderr")


class Result(Card):
    """How a program ended: `exit_code`, `stdout`, `stderr`, `duration_s`, `oom_killed`,
    `timed_out`, `container_id`, `name`, `image`, `isolation`, `not_applied`, `truncated`.
    """

    record: RunResult

    @property
    def mood(self) -> str:  # type: ignore[override]
        return "good" if self.record.exit_code == 0 else "bad"

    def headline(self) -> str:
        if self.record.timed_out:
            return "timed out"
        if self.record.oom_killed:
            return f"out of memory (exit {self.record.exit_code})"
        return f"exit {self.record.exit_code}"

    def facts(self) -> list[str]:
        record = self.record
        return [duration(record.duration_s), record.image, record.name, f"level {record.isolation}"]

    def warnings(self) -> list[str]:
        lines = [f"not applied: {what}" for what in self.record.not_applied]
        if self.record.truncated:
            lines.append("stdout and stderr hold only the beginning of what the program wrote")
        return lines


class Container(Card):
    """A container that runs on its own: `name`, `id`, `status`, and what `%container` does to it
    as methods: `logs()`, `stop()`, `kill()`, `wait()`, `inspect()`.
    """

    record: EngineContainer

    def headline(self) -> str:
        return self.record.name

    def facts(self) -> list[str]:
        record = self.record
        status = record.status if record.paths.base.exists() else "removed"
        return [status, record.image, record.short_id]


class Pulled(Card):
    """An image that is here now: the fields of `%image ls`."""

    record: ImageSummary
    mood = "good"

    def headline(self) -> str:
        return self.record.reference

    def facts(self) -> list[str]:
        record = self.record
        layers = f"{record.layers} layer{'' if record.layers == 1 else 's'}"
        return [layers, human.size(record.size_bytes), record.platform, _digest(record.digest)]


class Removed(Card):
    """What `%image rm` did: `record` has an ImageRemoval per image named."""

    record: list[ImageRemoval]

    def headline(self) -> str:
        names = [name for removal in self.record for name in removal.untagged or removal.deleted]
        return f"removed {', '.join(names)}"

    def facts(self) -> list[str]:
        freed_bytes = sum(removal.freed_bytes for removal in self.record)
        return [f"{human.size(freed_bytes)} freed"] if freed_bytes else []


def duration(seconds: float) -> str:
    """`0.05 s`, `12.3 s`, `3 min 20 s`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _digest(digest: str) -> str:
    algorithm, _, _ = digest.partition(":")
    return f"{algorithm}:{human.short_id(digest)}"


def last_line(text: str) -> Any:
    """The last line with something on it, at most 200 characters of it."""
    for line in reversed(text[-4000:].splitlines()):
        if line.strip():
            return line.strip()[:200]
    return ""


class Logs:
    """What a program has written, in order: `stdout`, `stderr`, and both as `str()`."""

    def __init__(self, pieces: Sequence[tuple[str, str]], left_out_bytes: int = 0) -> None:
        self._pieces = list(pieces)
        self.left_out_bytes = left_out_bytes

    @classmethod
    def collect(
        cls, entries: Iterable[LogEntry], limit_bytes: int, *, timestamps: bool = False
    ) -> Logs:
        """The last `limit_bytes` of `entries`; the rest is counted and passed over."""
        kept: deque[LogEntry] = deque()
        size = left_out = 0
        for entry in entries:
            kept.append(entry)
            size += len(entry.data)
            while size > limit_bytes and len(kept) > 1:
                dropped = len(kept.popleft().data)
                size -= dropped
                left_out += dropped
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in STREAMS}
        pieces = []
        for entry in kept:
            stamp = f"{entry.time} " if timestamps else ""
            pieces.append((entry.stream, stamp + decoders[entry.stream].decode(entry.data)))
        return cls(pieces, left_out)

    @property
    def stdout(self) -> str:
        return "".join(text for stream, text in self._pieces if stream == "stdout")

    @property
    def stderr(self) -> str:
        return "".join(text for stream, text in self._pieces if stream == "stderr")

    def __str__(self) -> str:
        return "".join(text for _, text in self._pieces)

    def __len__(self) -> int:
        return len(str(self))

    def __contains__(self, text: str) -> bool:
        return text in str(self)

    def __repr__(self) -> str:
        return self._note() + str(self).rstrip("\n")

    def _repr_html_(self) -> str:
        spans = "".join(
            f"<span style='color:{COLOURS['bad']}'>{escape(text)}</span>"
            if stream == "stderr"
            else escape(text)
            for stream, text in self._pieces
        )
        note = f"<div style='opacity:.65'>{self._note()}</div>" if self.left_out_bytes else ""
        style = "margin:0;font-size:13px;max-height:400px;overflow:auto;background:none"
        return f"{note}<pre style='{style}'>{spans}</pre>"

    def _note(self) -> str:
        if not self.left_out_bytes:
            return ""
        size = human.size(self.left_out_bytes)
        return f"… {size} before this left out; --tail takes a number of lines …\n"
