"""`system`: info, doctor, version."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import click

from ... import __version__
from .command import Command, Group
from .front import front
from .options import format_option

if TYPE_CHECKING:
    from ...engine import SystemInfo


@click.command(cls=Command, topic="system info", examples=("system info",))
@format_option
def info(**_: Any) -> SystemInfo:
    """Version, isolation level, and where things are kept."""
    return front().engine.system_info()


@click.command(cls=Command, topic="system doctor", examples=("system doctor",))
@format_option
def doctor(**_: Any) -> dict[str, str]:
    """What this machine can isolate and limit, and what is missing for more."""
    return front().engine.system_info().facts


@click.command(cls=Command, topic="system version", examples=("system version",))
@format_option
def version(**_: Any) -> dict[str, str]:
    """The versions of pydock, Python and the kernel."""
    return {
        "pydock": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }


group = Group(
    "system",
    help="The engine itself: what it is, what it can do here.",
    commands=[info, doctor, version],
)
