"""The job that turns one compressed layer into a folder overlayfs can use."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import IntegrityError, LayerError, PydockError, disk_error
from ..image.records import LayerRecord
from ..protocol.messages import UnpackLayer
from . import fsops, whiteouts
from .decompress import Decompressor
from .limits import Budget, Limits
from .record import escape, write_record
from .remove import remove_tree
from .safe_paths import clean_path, split
from .tarheader import Entry, printable
from .tarscan import TarStream, scan
from .writer import Writer

Report = Callable[[int, int, str], None]

_REPORT_EVERY_S: Final = 0.1
_DISK_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
)


def unpack_layer(
    request: UnpackLayer,
    fd: int | None,
    report: Report,
    *,
    level: str = "root",
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Unpacks a layer into `request.target`: `diff` in overlayfs's form, `layer.json` beside it.

    Returns
    -------
    dict
        The LayerRecord as builtins, without `implied`, which can be long; the file has it.

    Raises
    ------
    LayerError
        The layer is malformed, unsafe or larger than `limits`.
    IntegrityError
        The uncompressed bytes are not the ones `request.diff_id` names.
    DiskFull, StoreError
        The target cannot be written.

    Whatever goes wrong, nothing of the target is left; a killed job leaves a folder below
    layers/ingest that the next collection of garbage removes.
    """
    target = Path(request.target)
    blob_fd = os.open(request.blob, os.O_RDONLY | os.O_CLOEXEC) if request.blob else fd
    if blob_fd is None:
        raise LayerError("no layer to unpack: neither a path nor a descriptor came")
    try:
        with _no_umask():
            record = _Unpacking(request, blob_fd, report, level, limits or Limits()).run(target)
    except OSError as error:
        remove_tree(target)
        raise disk_error(error, target) from error
    except BaseException:
        remove_tree(target)
        raise
    finally:
        if request.blob:
            os.close(blob_fd)
    return {**msgspec.to_builtins(record), "implied": []}


@contextlib.contextmanager
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


class _Unpacking:
    """One layer on its way; `run` is called once."""

    def __init__(
        self, request: UnpackLayer, fd: int, report: Report, level: str, limits: Limits
    ) -> None:
        self._request = request
        self._report = report
        self._level = level
        status = os.fstat(fd)
        self._total_bytes = status.st_size if stat.S_ISREG(status.st_mode) else 0
        self._limits = limits.for_blob(self._total_bytes)
        self._source = Decompressor(fd)
        self._hash = hashlib.sha256()
        self._next_report_s = 0.0

    def run(self, target: Path) -> LayerRecord:
        diff_fd = _open_fresh(target)
        try:
            self._budget = Budget(self._limits, diff_fd, str(target))
            owners = fsops.for_level(self._level)
            writer = Writer(diff_fd, owners, keeps_devices=self._level == "root")
            writer.folders.implied.add(b"")  # the root, until an entry speaks of it
            stream = TarStream(self._source, self._on_chunk)
            try:
                self._write_entries(stream, writer)
                stream.drain()
                self._check_diff_id()
                writer.finish()
            finally:
                writer.folders.forget()
            record = LayerRecord(
                diff_id=self._request.diff_id,
                size_bytes=writer.size_bytes,
                tar_bytes=self._budget.tar_bytes,
                files=self._files,
                implied=tuple(sorted(map(escape, writer.folders.implied))),
                foreign_owners=owners.foreign,
                skipped_devices=writer.skipped_devices,
                skipped_xattrs=writer.skipped_xattrs,
            )
        finally:
            os.close(diff_fd)
        write_record(target, record)
        self._report(self._total_bytes, self._total_bytes, "unpacked")
        return record

    def _write_entries(self, stream: TarStream, writer: Writer) -> None:
        self._files = 0
        made = 1
        for entry in scan(stream):
            self._files += 1
            try:
                _write_entry(entry, writer, stream)
            except OSError as error:
                raise _entry_error(entry, error, self._request.target) from error
            implied = len(writer.folders.implied)
            self._budget.take_entries(1 + max(0, implied - made))
            made = implied

    def _on_chunk(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._budget.take_tar(len(chunk))
        now = time.monotonic()
        if now >= self._next_report_s:
            self._next_report_s = now + _REPORT_EVERY_S
            self._report(self._source.compressed_bytes, self._total_bytes, "unpacking")

    def _check_diff_id(self) -> None:
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._request.diff_id:
            raise IntegrityError(
                f"a layer's content is {found}, the image says {self._request.diff_id}",
                way_out="pull the image again; if it stays, the image itself is broken",
            )


def _open_fresh(target: Path) -> int:
    """Makes `target` (unless it is there) and an empty `diff` in it, and opens that."""
    target.mkdir(mode=0o700, exist_ok=True)
    diff = target / "diff"
    diff.mkdir(mode=0o755)
    fd = os.open(diff, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    # a setgid bit or a default ACL of a folder above would spread to everything in the layer
    os.fchown(fd, os.geteuid(), os.getegid())
    os.fchmod(fd, 0o755)
    for key in ("system.posix_acl_default", "system.posix_acl_access"):
        with contextlib.suppress(OSError):
            os.removexattr(fd, key)
    return fd


def _write_entry(entry: Entry, writer: Writer, stream: TarStream) -> None:
    path = clean_path(entry.name)
    folder, name = split(path)
    if b".wh." in path:
        if whiteouts.is_aufs_metadata(path):
            return
        if folder.startswith(whiteouts.PREFIX) or b"/" + whiteouts.PREFIX in folder:
            raise LayerError(f"a whiteout is used as a folder: {printable(path)}")
        if name == whiteouts.OPAQUE:
            writer.make_opaque(folder)
            return
        if name.startswith(whiteouts.PREFIX):
            writer.hide(folder, whiteouts.hidden_name(path, name))
            return
    writer.write(entry, path, stream)


def _entry_error(entry: Entry, error: OSError, target: str) -> PydockError:
    """What the file system said about one entry: mostly the layer's fault, sometimes the disk's."""
    if error.errno in _DISK_ERRORS:
        return disk_error(error, target)
    return LayerError(f"cannot unpack {printable(entry.name)}: {error.strerror}")
