"""What the engine says about images: plain immutable records, no screen, no frames."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `image ls`."""

    reference: str
    """Familiar form, `busybox:latest`."""
    repository: str
    tag: str
    id: str
    """Digest of the config blob: docker's image id."""
    digest: str
    """Digest of the manifest."""
    platform: str
    created: str | None
    size_bytes: int
    """Unpacked size of all layers."""
    layers: int


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One `history` entry, oldest first. Empty layers have no digest, diff_id or size."""

    created: str | None
    created_by: str
    size_bytes: int | None
    """Unpacked bytes of the layer."""
    diff_id: str | None
    digest: str | None
    empty_layer: bool
    comment: str


class LayerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of an image, bottom first (index 0)."""

    index: int
    digest: str
    """Of the blob that travels (distribution hash)."""
    diff_id: str
    """Of the uncompressed tar (content hash)."""
    chain_id: str
    """Of the stack up to here."""
    size_bytes: int
    """Unpacked bytes of regular files."""
    compressed_bytes: int
    files: int
    """Entries in the layer, whiteouts included."""
    created_by: str
    shared_with: tuple[str, ...]
    """References of other images here that contain the same layer (by chain_id)."""
    media_type: str = ""


class LayerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`layer.json` beside an unpacked layer's `diff` folder."""

    diff_id: str
    size_bytes: int
    """Sum of regular file sizes, hard links once."""
    tar_bytes: int
    files: int
    implied: tuple[str, ...] = ()
    """Folders the tar did not list; their metadata comes from the layers below."""
    foreign_owners: int = 0
    """Entries whose owner this level could not give; see the xattr user.pydock.owner."""
    skipped_devices: int = 0
    """Device nodes this level may not make; nothing is in their place."""
    skipped_xattrs: int = 0
    """Attributes this level or file system has no place for, and overlayfs's own."""


class PullProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One change in one layer's life during a pull."""

    digest: str
    phase: str
    """waiting, collecting (the local image), downloading, verifying, unpacking, exists, done."""
    current: int
    total: int


OnProgress = Callable[[PullProgress], None]
"""Called in the thread that waits for the pull."""


class ImageRemoval(msgspec.Struct, frozen=True, kw_only=True):
    """What `image rm` did."""

    untagged: tuple[str, ...] = ()
    """Familiar names taken away."""
    deleted: tuple[str, ...] = ()
    """Ids of images that went with their last name."""
    freed_bytes: int = 0
    """Of blobs; unpacked layers come on top."""
