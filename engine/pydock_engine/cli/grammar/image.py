"""`image`: pull, ls, history, layers, inspect, rm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .command import Command, Group
from .front import front
from .options import format_option, no_trunc, platform_option, quiet_ids
from .presence import default_image

if TYPE_CHECKING:
    from ...image.records import HistoryEntry, ImageRemoval, ImageSummary, LayerInfo

IMAGE = click.argument("image", metavar="[IMAGE]", required=False)
"""With none it is the default image, as with `run`."""


@click.command(cls=Command, topic="image pull", examples=("image pull debian:12",))
@platform_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.argument("image", metavar="IMAGE")
def pull(image: str, platform: str | None, quiet: bool) -> ImageSummary:
    """Fetch IMAGE from its registry.

    Layers that are here already are not fetched again; every byte is checked against its digest.
    """
    here = front()
    if quiet:
        return here.engine.images.pull(image, platform=platform)
    with here.progress(f"pulling {image}") as on_progress:
        return here.engine.images.pull(image, platform=platform, on_progress=on_progress)


@click.command(cls=Command, topic="image ls", examples=("image ls",))
@quiet_ids
@no_trunc
@format_option
@click.argument("name", metavar="[NAME]", required=False)
def ls(name: str | None, quiet: bool, **_: Any) -> list[ImageSummary] | list[str]:
    """The images that are here, or those called NAME (a repository or repository:tag)."""
    found = front().engine.images.list()
    if name:
        found = [image for image in found if name in (image.repository, image.reference)]
    return list(dict.fromkeys(image.id for image in found)) if quiet else found


@click.command(cls=Command, topic="image history", examples=("image history debian:12",))
@no_trunc
@format_option
@IMAGE
def history(image: str | None, **_: Any) -> list[HistoryEntry]:
    """The steps IMAGE (or the default one) was made by, oldest first, and the layer each left."""
    return front().engine.images.history(image or default_image(front()).reference)


@click.command(cls=Command, topic="image layers", examples=("image layers debian:12",))
@no_trunc
@format_option
@IMAGE
def layers(image: str | None, **_: Any) -> list[LayerInfo]:
    """The layers of IMAGE (or the default one), bottom first, and which images share them."""
    return front().engine.images.layers(image or default_image(front()).reference)


@click.command(cls=Command, topic="image inspect", examples=("image inspect debian:12",))
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
def inspect(images: tuple[str, ...]) -> list[dict[str, Any]]:
    """Everything known about each IMAGE (or the default one), in docker's own JSON."""
    collection = front().engine.images
    named = images or (default_image(front()).reference,)
    return [collection.inspect(image) for image in named]


@click.command(cls=Command, topic="image rm", examples=("image rm debian:12",))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
def rm(images: tuple[str, ...]) -> list[ImageRemoval]:
    """Forget each IMAGE, and remove the layers nobody else needs."""
    collection = front().engine.images
    return [collection.remove(image) for image in images]


group = Group(
    "image",
    help="Images: fetch them, look into them, remove them.",
    commands=[pull, ls, history, layers, inspect, rm],
    aliases={"list": "ls", "remove": "rm"},
    habits={"images": "image ls", "run": "container run", "ps": "container ls"},
)
