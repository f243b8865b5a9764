"""`container`: run, ls, logs, inspect, start, stop, kill, wait, rm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from . import types
from .command import Command, Group
from .front import front
from .options import format_option, no_trunc, quiet_ids
from .run import run

if TYPE_CHECKING:
    from ...container.container import Container
    from ...container.records import ContainerSummary, LogEntry

CONTAINER = click.argument("container", metavar="CONTAINER")
CONTAINERS = click.argument("containers", metavar="CONTAINER...", nargs=-1, required=True)


@click.command(cls=Command, topic="container ls", examples=("container ls -a",))
@click.option("-a", "--all", "all_", is_flag=True, help="Ended ones too.")
@quiet_ids
@no_trunc
@format_option
def ls(all_: bool, quiet: bool, **_: Any) -> list[ContainerSummary] | list[str]:
    """The containers that run, newest first; with -a all of them."""
    found = front().engine.containers.summaries(all=all_)
    return [container.id for container in found] if quiet else found


@click.command(
    cls=Command,
    topic="container logs",
    examples=("container logs --tail 20 web", "container logs -f web"),
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the container ends.")
@click.option("-n", "--tail", type=types.TAIL, default=None, help="Only the last lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time before each line.")
@CONTAINER
def logs(container: str, follow: bool, tail: int | None, **_: Any) -> Iterator[LogEntry]:
    """What the program of CONTAINER has written, running or ended."""
    return front().engine.containers.get(container).output(follow=follow, tail=tail)


@click.command(cls=Command, topic="container inspect", examples=("container inspect web",))
@CONTAINERS
def inspect(containers: tuple[str, ...]) -> list[dict[str, Any]]:
    """Everything known about each CONTAINER, in docker's own JSON."""
    return [found.inspect() for found in _found(containers)]


@click.command(cls=Command, topic="container start", examples=("container start web",))
@CONTAINERS
def start(containers: tuple[str, ...]) -> list[str]:
    """Start containers that were created or have ended."""
    for found in _found(containers):
        found.start()
    return list(containers)


@click.command(cls=Command, topic="container stop", examples=("container stop -t 2 web",))
@click.option(
    "-t",
    "--timeout",
    "--time",
    "grace_s",
    type=types.DURATION,
    default="10s",
    show_default=True,
    help="How long it may take to end by itself.",
)
@click.option("-s", "--signal", type=types.SIGNAL, default=None, help="What is sent first.")
@CONTAINERS
def stop(containers: tuple[str, ...], grace_s: float, signal: int | None) -> list[str]:
    """Ask each CONTAINER to end, and end it when it does not."""
    for found in _found(containers):
        found.stop(grace_s, signal=signal)
    return list(containers)


@click.command(cls=Command, topic="container kill", examples=("container kill -s INT web",))
@click.option(
    "-s", "--signal", type=types.SIGNAL, default="KILL", show_default=True, help="What is sent."
)
@CONTAINERS
def kill(containers: tuple[str, ...], signal: int) -> list[str]:
    """Send a signal to the program of each CONTAINER."""
    for found in _found(containers):
        found.kill(signal)
    return list(containers)


@click.command(cls=Command, topic="container wait", examples=("container wait web",))
@CONTAINERS
def wait(containers: tuple[str, ...]) -> list[int]:
    """Wait until each CONTAINER has ended; gives their exit codes."""
    return [found.wait() for found in _found(containers)]


@click.command(cls=Command, topic="container rm", examples=("container rm -f web",))
@click.option("-f", "--force", is_flag=True, help="Even one that runs: it is killed first.")
@CONTAINERS
def rm(containers: tuple[str, ...], force: bool) -> list[str]:
    """Remove containers that have ended, with their logs and what they wrote."""
    collection = front().engine.containers
    for name in containers:
        collection.remove(name, force=force)
    return list(containers)


def _found(names: tuple[str, ...]) -> list[Container]:
    """All of them, before anything is done to the first: a wrong name changes nothing."""
    return [front().engine.containers.get(name) for name in names]


group = Group(
    "container",
    help="Containers: run them, look at them, end them.",
    commands=[run, ls, logs, inspect, start, stop, kill, wait, rm],
    aliases={"ps": "ls", "list": "ls", "remove": "rm"},
    habits={"images": "image ls", "pull": "image pull", "rmi": "image rm"},
)
