"""The two faces, text and HTML, of everything a magic gives back that is not a DataFrame.

HTML uses the front end's own colour variables with fall-backs that can be read on white and on
black, and every text from outside is escaped.
"""

from __future__ import annotations

from html import escape
from typing import Any

from pydock_engine.cli.human import clean

_CARD = (
    "display:inline-block;font-family:var(--jp-ui-font-family,sans-serif);font-size:13px;"
    "line-height:1.5;border-left:3px solid {colour};padding:1px 0 1px 10px;margin:2px 0"
)
_FAINT = "opacity:.65"
COLOURS = {
    "good": "var(--jp-success-color1,#388e3c)",
    "bad": "var(--jp-error-color1,#d9534f)",
    "plain": "var(--jp-brand-color1,#2196f3)",
}


class Text(str):
    """Text whose face is itself, not its quoted form: help pages."""

    def __repr__(self) -> str:
        return str(self)


class Names(list[str]):
    """What a command acted on; the face is one name a line."""

    def __repr__(self) -> str:
        return "\n".join(map(clean, self))


class Card:
    """One record with a headline and a line of facts; its fields are this object's attributes.

    Subclasses say what the headline and the facts are. `record` is the engine's own value.
    """

    mood = "plain"

    def __init__(self, record: Any) -> None:
        self.record = record

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "record":
            raise AttributeError(name)
        return getattr(self.record, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(n for n in dir(self.record) if not n.startswith("_"))]

    def headline(self) -> str:
        raise NotImplementedError

    def facts(self) -> list[str]:
        raise NotImplementedError

    def warnings(self) -> list[str]:
        """What must not be missed; a line each."""
        return []

    def __repr__(self) -> str:
        first = " · ".join([self.headline(), *self.facts()])
        return "\n".join(map(clean, [first, *self.warnings()]))

    def _repr_html_(self) -> str:
        facts = "".join(f" <span style='{_FAINT}'>· {_safe(fact)}</span>" for fact in self.facts())
        warnings = "".join(
            f"<div style='color:{COLOURS['bad']}'>{_safe(line)}</div>" for line in self.warnings()
        )
        style = _CARD.format(colour=COLOURS[self.mood])
        return f"<div style='{style}'><b>{_safe(self.headline())}</b>{facts}{warnings}</div>"


def _safe(text: str) -> str:
    return escape(clean(text))
