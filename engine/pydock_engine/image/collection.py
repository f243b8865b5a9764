"""`Engine.images`: every image here, and the way to get more."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import errors
from ..paths import Paths
from ..registry.credentials import Credentials
from ..store import gc
from ..store.cas import BlobStore
from ..store.database import Database
from ..store.images import ImageIndex, ManifestRow, NameRow
from ..store.root import open_root
from . import jobs as job_door
from . import stored, views
from .addition import Addition, LayerSource
from .jobs import JobRunner
from .platform import parse_platform
from .records import HistoryEntry, ImageRemoval, ImageSummary, LayerInfo, OnProgress
from .reference import Reference, familiar_repository, parse
from .stored import StoredImage

if TYPE_CHECKING:
    from ..registry.transport import Transport

NONE = "<none>"
"""What docker shows for an image whose tag moved on."""


class Images:
    """The images of one store. Making one touches no disk; methods may be called from any thread.

    An argument called `reference` may be a familiar or full name, a digest, an id or its beginning.
    """

    def __init__(self, paths: Paths, database: Database, spawner: JobRunner) -> None:
        self._paths = paths
        self._database = database
        self._jobs = spawner
        self._index = ImageIndex(database, paths)
        self._blobs = BlobStore(paths)
        self._is_open = False

    @property
    def paths(self) -> Paths:
        """Where this store keeps things."""
        return self._paths

    @property
    def jobs(self) -> JobRunner:
        """Who runs this store's helper processes."""
        return self._jobs

    def pull(
        self,
        reference: str,
        *,
        platform: str | None = None,
        credentials: Credentials | None = None,
        on_progress: OnProgress | None = None,
        transport: Transport | None = None,
    ) -> ImageSummary:
        """Fetches an image and unpacks its layers; `on_progress` is called in this thread.

        Parameters
        ----------
        platform
            `linux/arm64` and the like; this machine's own when None.
        credentials
            Instead of what `docker login` has stored.

        Raises
        ------
        InvalidReference, ImageNotFound, Unauthorized, RegistryError, PlatformMismatch,
        IntegrityError, LayerError, DiskFull, Unsupported
            The store is as it was.
        """
        # HTTP costs 40 ms to import: `%load_ext` does without it.
        from ..registry.client import RegistryClient
        from .pull import Pull

        parsed = parse(reference)
        wanted = parse_platform(platform) if platform else None
        name = parsed.pinned(parsed.digest) if parsed.digest else parsed
        self._open()
        with RegistryClient(parsed.domain, credentials, transport) as client:
            with self._clean_failure():
                pull = Pull(self._paths, self._database, self._jobs, client, on_progress)
                digest = pull.run(name, wanted)
        return self._summary_of(digest, name)

    def list(self) -> list[ImageSummary]:
        """One summary per name, by name; images without a name come last."""
        self._open()
        manifests = {row.digest: row for row in self._index.manifests()}
        names = self._index.names()
        named = {name.manifest_digest for name in names}
        found = [self._summary(manifests[n.manifest_digest], n) for n in names]
        return found + [self._summary(m, None) for d, m in manifests.items() if d not in named]

    def get(self, reference: str) -> StoredImage:
        """The image called `reference`, its documents read and checked.

        Raises
        ------
        ImageNotFound, InvalidReference, UsageError
            It is not here, cannot be a name, or is the beginning of several ids.
        """
        self._open()
        return stored.open_stored(self._index, self._blobs, stored.find(self._index, reference))

    def history(self, reference: str) -> builtins.list[HistoryEntry]:
        """How the image came to be, oldest entry first."""
        return views.history(self.get(reference))

    def layers(self, reference: str) -> builtins.list[LayerInfo]:
        """The image's layers, bottom first, and which other images here share each."""
        image = self.get(reference)
        names: dict[str, builtins.list[str]] = {}
        for name in self._index.names():
            names.setdefault(name.manifest_digest, []).append(name.familiar)
        shared = {
            chain_id: sorted(
                label
                for digest in digests
                for label in names.get(digest) or [self._unnamed(digest)]
            )
            for chain_id, digests in self._index.users_of_chains(image.digest).items()
        }
        return views.layers(image, shared)

    def inspect(self, reference: str) -> dict[str, Any]:
        """The image as `docker image inspect` shows it: docker's keys, JSON types."""
        image = self.get(reference)
        names = [n for n in self._index.names() if n.manifest_digest == image.digest]
        return views.inspect(image, names)

    def remove(self, reference: str) -> ImageRemoval:
        """Takes a name away; with its last name goes the image, and what only it needed.

        By id or digest all names go.

        Raises
        ------
        ImageNotFound
            Nothing here is called that.
        Conflict
            It is the last name and a container was made from the image.
        """
        self._open()
        found = stored.find(self._index, reference)
        names = [n for n in self._index.names() if n.manifest_digest == found.manifest.digest]
        by_name = _called_by_name(found, reference)
        if by_name is not None and len(names) > 1:
            self._index.remove_name(by_name.reference)
            return ImageRemoval(untagged=(by_name.familiar,))
        if not self._index.remove_manifest(found.manifest.digest):
            raise self._in_use(reference, found.manifest)
        folders, freed = gc.sweep(self._database, self._paths)
        job_door.remove_trees(self._jobs, folders)
        self._tidy()
        untagged = tuple(name.familiar for name in names)
        return ImageRemoval(
            untagged=untagged, deleted=(found.manifest.config_digest,), freed_bytes=freed
        )

    def add_image(
        self,
        reference: str,
        config: bytes,
        layers: Sequence[LayerSource],
        *,
        annotations: dict[str, str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> StoredImage:
        """Makes an image of layers that lie on this disk, under the name `reference`.

        `config` is the config blob; its diff_ids must be the layers'. Blobs are copied in and
        unpacked as a pull would; the same errors, the same guarantee.
        """
        parsed = parse(reference)
        self._open()
        with self._clean_failure():
            addition = Addition(self._paths, self._database, self._jobs, on_progress)
            addition.run(parsed, config, layers, annotations or {})
        return self.get(str(parsed))

    def ensure_default(self, on_progress: OnProgress | None = None) -> StoredImage:
        """The built-in image of this machine's own Python, made on first use."""
        from .local_python import ensure_local_image

        return ensure_local_image(self, on_progress)

    @contextmanager
    def _clean_failure(self) -> Iterator[None]:
        """Takes away what killed pulls left, and afterwards what this one brought if it failed.

        Whole blobs stay when trying again would need them: after an interrupt or a broken
        connection. The next sweep finds them.
        """
        self._tidy()
        try:
            yield
        except BaseException as error:
            temporary = isinstance(error, errors.RegistryError) and error.facts.get("temporary")
            # What went wrong first is what the user has to know.
            with contextlib.suppress(errors.PydockError, OSError):
                if not temporary and isinstance(error, Exception):
                    folders, _ = gc.sweep(self._database, self._paths)
                    job_door.remove_trees(self._jobs, folders)
                self._tidy()
            raise

    def _tidy(self) -> None:
        """Removes what killed clients left behind; what still resists is there for the next."""
        with contextlib.suppress(errors.PydockError):
            job_door.remove_trees(self._jobs, gc.leftovers(self._paths))

    def _open(self) -> None:
        if not self._is_open:
            open_root(self._paths)
            self._index.repair()
            self._is_open = True

    def _summary_of(self, digest: str, reference: Reference) -> ImageSummary:
        row = self._index.manifest(digest)
        if row is None:
            raise errors.ImageNotFound(f"{reference} was removed while it was being pulled")
        return self._summary(row, self._index.name(reference.full))

    def _summary(self, row: ManifestRow, name: NameRow | None) -> ImageSummary:
        layers = self._index.layers(row.digest)
        return ImageSummary(
            reference=name.familiar if name else stored.short_id(row.config_digest),
            repository=familiar_repository(name.repository) if name else NONE,
            tag=(name.tag or NONE) if name else NONE,
            id=row.config_digest,
            digest=row.digest,
            platform=row.platform,
            created=row.created,
            size_bytes=sum(layer.size_bytes for layer in layers),
            layers=len(layers),
        )

    def _unnamed(self, digest: str) -> str:
        row = self._index.manifest(digest)
        return stored.short_id(row.config_digest) if row else stored.short_id(digest)

    def _in_use(self, reference: str, row: ManifestRow) -> errors.Conflict:
        users = self._index.containers_of(row.config_digest)
        listed = ", ".join(users[:5]) + (" …" if len(users) > 5 else "")
        return errors.Conflict(
            f"the image {reference} is used by the container {listed}",
            way_out=f"remove it first with `%container rm {users[0] if users else 'NAME'}`",
        )


def _called_by_name(found: stored.Found, text: str) -> NameRow | None:
    """The name `text` used; None when it was an id or a digest."""
    try:
        parsed = parse(text)
    except errors.InvalidReference:
        return None
    name = found.name
    return name if name and parsed.repository == name.repository else None
