"""The whole grammar: the three nouns, and docker's names for the common verbs at the top."""

from __future__ import annotations

import click

from ... import __version__
from . import container, image, system
from .command import Command, Group, TextWanted
from .front import Front
from .run import run

_SHORT: dict[str, Command] = {
    "run": run,
    "ps": container.ls,
    "logs": container.logs,
    "start": container.start,
    "stop": container.stop,
    "kill": container.kill,
    "wait": container.wait,
    "rm": container.rm,
    "pull": image.pull,
    "images": image.ls,
    "history": image.history,
    "rmi": image.rm,
    "info": system.info,
    "version": system.version,
    "doctor": system.doctor,
}
"""docker's top-level names. `inspect` is not here: it is looked for in both nouns."""


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        raise TextWanted(f"pydock {__version__}")


@click.group(
    cls=Group,
    name="pydock",
    commands={**_SHORT, "image": image.group, "container": container.group, "system": system.group},
)
@click.option("--root", metavar="DIR", help="Where images and containers are kept.")
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_obj
def pydock(front: Front, root: str | None) -> None:
    """Run programs in containers, and look into images.

    The same commands are there in a notebook: pydock image ls is %image ls.
    """
    if root is not None:
        front.root = root


@pydock.command(name="inspect", cls=Command, topic="inspect", examples=("inspect web",))
@click.option("--type", "kind", type=click.Choice(["container", "image"]), help="Look only there.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.pass_obj
def inspect(front: Front, names: tuple[str, ...], kind: str | None) -> list[dict[str, object]]:
    """Everything known about each container or image called NAME, in docker's own JSON."""
    return [_inspect_one(front, name, kind) for name in names]


def _inspect_one(front: Front, name: str, kind: str | None) -> dict[str, object]:
    from ...errors import ContainerNotFound, ImageNotFound, InvalidReference, NotFound

    if kind != "image":
        try:
            return front.engine.containers.get(name).inspect()
        except ContainerNotFound:
            if kind == "container":
                raise
    try:
        return front.engine.images.inspect(name)
    except (ImageNotFound, InvalidReference):
        if kind == "image":
            raise
        raise NotFound(
            f"no container and no image is called {name}", way_out="see pydock ps -a, pydock images"
        ) from None
