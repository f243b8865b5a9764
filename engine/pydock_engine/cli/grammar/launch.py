"""What `run` does once its line is understood: the image, the body, the streams, the signals."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from ...container.options import RunOptions
from ...errors import Conflict, UsageError
from ..stdio import forwarded_signals
from .front import Front
from .presence import present_image

if TYPE_CHECKING:
    from ...container.container import Container
    from ...container.records import RunResult


class Given(TypedDict):
    """What the program is handed."""

    body: bytes | None
    interpreter: str | None
    stdin: int | None


def launch(here: Front, options: RunOptions, flags: dict[str, Any]) -> RunResult | Container:
    """The result of a foreground run, or the container left running (`--detach`)."""
    if flags["interactive"] and here.stdin is None:
        raise UsageError(
            "a cell has no standard input to hand over",
            way_out="leave out -i: the body is handed over",
        )
    image = present_image(here, options.image, flags)
    options = msgspec.structs.replace(options, image=image.reference)
    containers = here.engine.containers
    given = Given(
        body=here.body,
        interpreter=flags["interpreter"],
        stdin=here.stdin() if flags["interactive"] and here.stdin else None,
    )
    if options.detach:
        return containers.run_detached(options, **given)
    if not here.forward_signals:
        return containers.run(options, on_output=here.on_output, **given)
    created = containers.create(options, **given)
    with forwarded_signals(lambda number: hand_on(created, number)):
        return containers.run_created(created, on_output=here.on_output)


def hand_on(container: Container, number: int) -> None:
    """Sends a signal to the program, unless it has just ended (or not yet begun)."""
    with suppress(Conflict):
        container.kill(number)
