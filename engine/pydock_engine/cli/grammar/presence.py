"""The image a command is about, fetched or made when it is not here yet."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ...errors import ImageNotFound
from .front import Front, OnProgress

if TYPE_CHECKING:
    from ...image.stored import StoredImage


def present_image(here: Front, reference: str, flags: dict[str, Any]) -> StoredImage:
    """The image called `reference`; `--pull`, `--platform` and `--quiet` are looked at.

    Raises
    ------
    ImageNotFound
        It is not here and `--pull never` was said, or its registry does not have it.
    """
    from ...image.local_python import DEFAULT_REFERENCE

    images = here.engine.images
    local = DEFAULT_REFERENCE.partition(":")[0]
    if not reference:
        return default_image(here, quiet=flags["quiet"])
    if reference in (local, DEFAULT_REFERENCE):
        return machine_image(here, quiet=flags["quiet"])
    if flags["pull"] != "always":
        try:
            return images.get(reference)
        except ImageNotFound:
            if reference.startswith(f"{local}:"):
                raise ImageNotFound(
                    f"{reference} is not here, and only that version of Python could make it",
                    way_out=f"leave the image out, or use {DEFAULT_REFERENCE}",
                ) from None
            if flags["pull"] == "never":
                raise
    with progress(here, f"pulling {reference}", quiet=flags["quiet"]) as report:
        images.pull(reference, platform=flags["platform"], on_progress=report)
    return images.get(reference)


def default_image(here: Front, *, quiet: bool = False) -> StoredImage:
    """The image of who names none: the front's own choice, else this machine's Python."""
    if here.default_image:
        flags = {"pull": "missing", "platform": None, "quiet": quiet}
        return present_image(here, here.default_image, flags)
    return machine_image(here, quiet=quiet)


def machine_image(here: Front, *, quiet: bool) -> StoredImage:
    """The image of this machine's own Python, made when it is not here."""
    with progress(here, "making the default image", quiet=quiet) as report:
        return here.engine.images.ensure_default(on_progress=report)


def progress(here: Front, title: str, *, quiet: bool) -> AbstractContextManager[OnProgress | None]:
    return nullcontext() if quiet else here.progress(title)
