"""The default image `local/python:X.Y`: this machine's own Python, a shell and small tools.

Three layers, made without a network: base, python, packages. It is made once, and again when
the interpreter has changed (a label remembers which one it was).
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import Conflict, ImageNotFound, UsageError, disk_error
from ..layer.pack import Packed, pack
from ..oci.image import ContainerConfig, History, ImageConfig, RootFS
from ..paths import Paths
from ..protocol.messages import BuildLocalImage, Progress
from ..store.session import open_session
from . import jobs as job_door
from .addition import LayerSource
from .host_base import PATH, base_layer
from .host_python import packages_layer, python_layer
from .host_tree import Tree
from .interpreter import Interpreter, current_interpreter, site_packages
from .platform import host_platform
from .records import PullProgress
from .shared_objects import Libraries

if TYPE_CHECKING:
    from .collection import Images
    from .stored import StoredImage

__all__ = [
    "DEFAULT_REFERENCE",
    "check_is_local",
    "collect_local_image",
    "ensure_local_image",
    "site_packages",
]

Report = Callable[[int, int, str], None]
OnProgress = Callable[[PullProgress], None]

FINGERPRINT: Final = "pydock.local.fingerprint"
"""Label that says which interpreter an image was made from."""
_RECIPE: Final = "1"
"""Part of the fingerprint: another recipe makes another image."""
_VERSION: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"

DEFAULT_REFERENCE: Final = f"local/python:{_VERSION}"


class LocalLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer the job made: `file` in its target folder."""

    file: str
    created_by: str
    skipped: int
    """Files of the host this user cannot read."""
    packed: Packed


class LocalLayers(msgspec.Struct, frozen=True, kw_only=True):
    """The job's result, bottom first."""

    layers: tuple[LocalLayer, ...]


# -- the client's side -------------------------------------------------------------------------


def ensure_local_image(images: Images, on_progress: OnProgress | None = None) -> StoredImage:
    """The image `DEFAULT_REFERENCE`, made first when it is missing or of another interpreter.

    Several processes may ask at once: one makes it, the others wait and find it.

    Raises
    ------
    StoreError, DiskFull
        The store cannot be written.
    """
    python = current_interpreter()
    fingerprint = f"{_RECIPE}-{python.fingerprint()}"
    found = _find(images, fingerprint)
    if found is not None:
        return found
    with _locked(images.paths):
        found = _find(images, fingerprint)
        if found is None:
            outdated = _present(images)
            found = _make(images, python, fingerprint, on_progress)
            if outdated is not None:
                with suppress(Conflict, ImageNotFound):  # a container still needs it
                    images.remove(outdated.id)
        return found


def check_is_local(image: StoredImage) -> None:
    """Raises UsageError unless `image` was made from this very interpreter: packages that were
    installed for it (`--with-env`) cannot be imported by another one.
    """
    wanted = f"{_RECIPE}-{current_interpreter().fingerprint()}"
    if _fingerprint_of(image) != wanted:
        raise UsageError(
            f"--with-env needs the image made from this Python, not {image.reference}",
            way_out=f"leave the image out, or use {DEFAULT_REFERENCE}",
        )


def _find(images: Images, fingerprint: str) -> StoredImage | None:
    image = _present(images)
    return image if image is not None and _fingerprint_of(image) == fingerprint else None


def _present(images: Images) -> StoredImage | None:
    try:
        return images.get(DEFAULT_REFERENCE)
    except ImageNotFound:
        return None


def _fingerprint_of(image: StoredImage) -> str:
    labels = (image.config.config and image.config.config.labels) or {}
    return labels.get(FINGERPRINT, "")


@contextmanager
def _locked(paths: Paths) -> Iterator[None]:
    path = paths.root / "local-python.lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _make(
    images: Images, python: Interpreter, fingerprint: str, on_progress: OnProgress | None
) -> StoredImage:
    def tell(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(
                PullProgress(
                    digest=progress.note,
                    phase="collecting",
                    current=progress.current,
                    total=progress.total,
                )
            )

    with open_session(images.paths) as session:
        target = session.file("local")
        request = BuildLocalImage(target=str(target), python=msgspec.json.encode(python).decode())
        answer = job_door.run(images.jobs, request, tell)
        made = msgspec.convert(answer, LocalLayers).layers
        sources = [
            LayerSource(
                path=target / layer.file,
                diff_id=layer.packed.diff_id,
                media_type=layer.packed.media_type,
                digest=layer.packed.digest,
            )
            for layer in made
        ]
        config = msgspec.json.encode(_config(made, fingerprint))
        return images.add_image(DEFAULT_REFERENCE, config, sources, on_progress=on_progress)


def _config(layers: tuple[LocalLayer, ...], fingerprint: str) -> ImageConfig:
    host = host_platform()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return ImageConfig(
        architecture=host.architecture,
        os=host.os,
        variant=host.variant or "",
        created=created,
        config=ContainerConfig(
            env=(f"PATH={PATH}", "LANG=C.UTF-8"),
            cmd=("python3",),
            labels={FINGERPRINT: fingerprint},
        ),
        rootfs=RootFS(diff_ids=tuple(layer.packed.diff_id for layer in layers)),
        history=tuple(
            History(created=created, created_by=layer.created_by, comment=_comment(layer))
            for layer in layers
        ),
    )


def _comment(layer: LocalLayer) -> str:
    left_out = layer.skipped + layer.packed.unreadable
    return f"{left_out} files could not be read and are not in it" if left_out else ""


# -- the job's side ------------------------------------------------------------------------------


def collect_local_image(request: BuildLocalImage, report: Report) -> dict[str, Any]:
    """Writes the three layers into the fresh folder `request.target`.

    Returns
    -------
    dict
        `LocalLayers` as builtins.

    Raises
    ------
    StoreError, DiskFull
        The target cannot be written.
    """
    target = Path(request.target)
    python = (
        msgspec.json.decode(request.python, type=Interpreter)
        if request.python
        else current_interpreter()
    )
    libraries = Libraries()
    try:
        target.mkdir(mode=0o700)
        report(0, 3, "base")
        base = base_layer(libraries)
        made = [_write(target, "base", "a shell and the usual small tools of this machine", base)]
        report(1, 3, "python")
        own = python_layer(python, base, libraries)
        words = f"Python {python.version} of this machine, from {python.executable}"
        made.append(_write(target, "python", words, own))
        report(2, 3, "packages")
        words = "pip and its companions, as far as this machine has them"
        made.append(_write(target, "packages", words, packages_layer(python, own)))
    except OSError as error:
        raise disk_error(error, target) from error
    answer: dict[str, Any] = msgspec.to_builtins(LocalLayers(layers=tuple(made)))
    return answer


def _write(target: Path, name: str, created_by: str, tree: Tree) -> LocalLayer:
    file = f"{name}.tar.gz"
    with open(target / file, "xb") as output:
        packed = pack(tree.items(), output)
    return LocalLayer(file=file, created_by=created_by, skipped=tree.skipped, packed=packed)
