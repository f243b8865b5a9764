"""`image`: pull, ls, history, layers, inspect, rm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .command import Command, Group
from .front import front
from .options import format_option, no_trunc, platform_option, quiet_ids

if TYPE_CHECKING:
    from ...image.records import HistoryEntry, ImageRemoval, ImageSummary, LayerInfo

IMAGE = click.argument("image", metavar="IMAGE")
IMAGES = click.argument("images", metavar="IMAGE...", nargs=-1, required=True)


@click.command(cls=Command, topic="image pull", examples=("image pull debian:12",))
@platform_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@IMAGE
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
def history(image: str, **_: Any) -> list[HistoryEntry]:
    """The steps IMAGE was made by, oldest first, with the layer each one left."""
    return list(front().engine.images.history(image))


@click.command(cls=Command, topic="image layers", examples=("image layers debian:12",))
@no_trunc
@format_option
@IMAGE
def layers(image: str, **_: Any) -> list[LayerInfo]:
    """The layers of IMAGE, bottom first: sizes, digests, and which other images share them."""
    return list(front().engine.images.layers(image))


@click.command(cls=Command, topic="image inspect", examples=("image inspect debian:12",))
@IMAGES
def inspect(images: tuple[str, ...]) -> list[dict[str, Any]]:
    """Everything known about each IMAGE, in docker's own JSON."""
    collection = front().engine.images
    return [collection.inspect(image) for image in images]


@click.command(cls=Command, topic="image rm", examples=("image rm debian:12",))
@IMAGES
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
