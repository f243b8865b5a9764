"""One entry of a layer on disk: a method per kind, all by single names in open folders."""

from __future__ import annotations

import os
import stat
from typing import Final

from ..errors import LayerError
from . import fsops, tarheader
from .fsops import Owners
from .remove import remove_at
from .safe_paths import Folders, clean_path, split
from .tarheader import Entry, printable
from .tarscan import TarStream
from .whiteouts import Whiteouts, is_whiteout

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL_BITS: Final = 0o7000
_MODE_ELSEWHERE: Final = (tarheader.SYMLINK, tarheader.DIRECTORY)


class Writer:
    """Writes entries below `root_fd`, an open folder nobody else uses. Needs umask 0.

    A later entry replaces an earlier one of the same name; only a folder on a folder merges.
    Folders get their owner, mode, attributes and times from `finish`, because whatever is
    written into them later would change these again.

    Counts for the record: `size_bytes`, `skipped_devices`, `skipped_xattrs`.
    """

    def __init__(self, root_fd: int, owners: Owners, *, keeps_devices: bool) -> None:
        self._root_fd = root_fd
        self._owners = owners
        self._keeps_devices = keeps_devices
        self._whiteouts = Whiteouts(owners.opaque_xattr)
        self.folders = Folders(root_fd, self._whiteouts.make_folder)
        self._directories: dict[bytes, tuple[int, Entry]] = {}
        self._replaced: dict[bytes, int] = {}
        self._without_file: set[bytes] = set()
        self._steps = 0
        self.size_bytes = 0
        self.skipped_devices = 0
        self.skipped_xattrs = 0
        self._make = {
            tarheader.REGULAR: self._regular,
            tarheader.DIRECTORY: self._directory,
            tarheader.SYMLINK: self._symlink,
            tarheader.HARD_LINK: self._hard_link,
            tarheader.CHARACTER_DEVICE: self._device,
            tarheader.BLOCK_DEVICE: self._device,
            tarheader.FIFO: self._fifo,
        }

    def hide(self, folder: bytes, name: bytes) -> None:
        self._whiteouts.hide(self.folders.open(folder), name)

    def make_opaque(self, folder: bytes) -> None:
        self._whiteouts.make_opaque(fsops.inside(self.folders.open(folder), b"."))

    def write(self, entry: Entry, path: bytes, stream: TarStream) -> None:
        """Writes one entry at `path` (clean); takes a file's data from `stream`.

        Raises
        ------
        LayerError
            Nothing an image may contain: unknown kind, link to nowhere, parent that is a file.
        OSError
            The file system refused.
        """
        make = self._make.get(entry.kind)
        if make is None:
            raise LayerError(f"unknown kind of tar entry {entry.kind!r}: {printable(path)}")
        self._steps += 1
        if not path:
            if entry.kind != tarheader.DIRECTORY:
                raise LayerError("the layer's root is not a folder")
            self._directories[path] = (self._steps, entry)
            self.folders.implied.discard(path)
            return
        self._without_file.discard(path)
        folder, name = split(path)
        make(entry, path, self.folders.open(folder), name, stream)

    # -- kinds ---------------------------------------------------------------------------------

    def _regular(
        self, entry: Entry, path: bytes, dir_fd: int, name: bytes, stream: TarStream
    ) -> None:
        mode = entry.mode & 0o777
        try:
            fd = os.open(name, _CREATE, mode, dir_fd=dir_fd)
        except FileExistsError:
            dir_fd = self._clear(path)
            fd = os.open(name, _CREATE, mode, dir_fd=dir_fd)
        try:
            if entry.regions is None:
                stream.write_to(fd, entry.stored_bytes)
            else:
                _write_sparse(fd, entry, stream)
            self._describe(fd, entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)
        self.size_bytes += entry.size_bytes

    def _directory(
        self, entry: Entry, path: bytes, dir_fd: int, name: bytes, stream: TarStream
    ) -> None:
        try:
            self._whiteouts.make_folder(dir_fd, name)
        except FileExistsError:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                self._whiteouts.make_folder(self._clear(path), name)
        self.folders.implied.discard(path)
        self._directories[path] = (self._steps, entry)

    def _symlink(
        self, entry: Entry, path: bytes, dir_fd: int, name: bytes, stream: TarStream
    ) -> None:
        if not entry.link:
            raise LayerError(f"a symlink without a target: {printable(path)}")
        try:
            os.symlink(entry.link, name, dir_fd=dir_fd)
        except FileExistsError:
            dir_fd = self._clear(path)
            os.symlink(entry.link, name, dir_fd=dir_fd)
        self._describe_at(dir_fd, name, entry)

    def _hard_link(
        self, entry: Entry, path: bytes, dir_fd: int, name: bytes, stream: TarStream
    ) -> None:
        target = clean_path(entry.link)
        if target in self._without_file:
            self._without_file.add(path)
            self.skipped_devices += 1
            return
        folder, target_name = split(target)
        source_fd = self.folders.find(folder) if target else -1
        if source_fd < 0:
            raise _no_target(entry, path)
        try:
            status = os.stat(target_name, dir_fd=source_fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) or is_whiteout(status):
                raise _no_target(entry, path)
            try:
                _link(source_fd, target_name, dir_fd, name)
            except FileExistsError:
                there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
                if not os.path.samestat(there, status):
                    _link(source_fd, target_name, self._clear(path), name)
        except FileNotFoundError:
            raise _no_target(entry, path) from None
        finally:
            os.close(source_fd)

    def _device(
        self, entry: Entry, path: bytes, dir_fd: int, name: bytes, stream: TarStream
    ) -> None:
        kind = stat.S_IFCHR if entry.kind == tarheader.CHARACTER_DEVICE else stat.S_IFBLK
        if self._keeps_devices:
            try:
                self._node(kind, os.makedev(entry.major, entry.minor), entry, path, dir_fd)
                return
            except PermissionError:
                pass  # root of a container without CAP_MKNOD
            except OverflowError:
                raise LayerError(f"an impossible device number: {printable(path)}") from None
        self._clear(path)  # what the device would have replaced
        self._without_file.add(path)
        self.skipped_devices += 1

    def _fifo(self, entry: Entry, path: bytes, dir_fd: int, name: bytes, stream: TarStream) -> None:
        self._node(stat.S_IFIFO, 0, entry, path, dir_fd)

    def _node(self, kind: int, device: int, entry: Entry, path: bytes, dir_fd: int) -> None:
        name = split(path)[1]
        mode = kind | entry.mode & 0o777
        try:
            os.mknod(name, mode, device, dir_fd=dir_fd)
        except FileExistsError:
            dir_fd = self._clear(path)
            os.mknod(name, mode, device, dir_fd=dir_fd)
        self._describe_at(dir_fd, name, entry)

    # -- metadata --------------------------------------------------------------------------------

    def _describe(self, target: fsops.Target, entry: Entry) -> None:
        """Owner, special mode bits, attributes: in this order, for a change of owner clears the
        setuid bits and file capabilities.
        """
        if entry.uid or entry.gid:
            self._owners.give(target, entry.uid, entry.gid)
        if entry.mode & _SPECIAL_BITS and entry.kind not in _MODE_ELSEWHERE:
            os.chmod(target, entry.mode)
        for key, value in entry.xattrs.items():
            if fsops.is_private(key) or not fsops.set_xattr(target, key, value):
                self.skipped_xattrs += 1

    def _describe_at(self, dir_fd: int, name: bytes, entry: Entry) -> None:
        self._describe(fsops.inside(dir_fd, name), entry)
        times = (entry.mtime_ns, entry.mtime_ns)
        os.utime(name, ns=times, dir_fd=dir_fd, follow_symlinks=False)

    def _clear(self, path: bytes) -> int:
        """Removes what is at `path`; the value is its folder, opened anew."""
        folder, name = split(path)
        dir_fd = self.folders.open(folder)
        try:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return dir_fd
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            self.size_bytes -= status.st_size
        self._replaced[path] = self._steps
        remove_at(dir_fd, name)
        self.folders.forget()
        return self.folders.open(folder)

    def finish(self) -> None:
        """Gives all folders their metadata. Nothing may be written afterwards."""
        # inner folders first: a folder's own mode may lock even its owner out
        for path, (step, entry) in sorted(self._directories.items(), reverse=True):
            if not self._is_replaced(path, step):
                self._finish_directory(path, entry)
        self.folders.forget()

    def _is_replaced(self, path: bytes, step: int) -> bool:
        """True when the folder, or one above it, gave way to something else after `step`."""
        while path and self._replaced:
            if self._replaced.get(path, 0) > step:
                return True
            path = split(path)[0]
        return False

    def _finish_directory(self, path: bytes, entry: Entry) -> None:
        folder, name = split(path)
        dir_fd = self.folders.open(folder, make=False)
        name = name or b"."
        try:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        except OSError:
            return  # reached through a link whose target was replaced
        if not stat.S_ISDIR(status.st_mode):
            return
        self._describe_at(dir_fd, name, entry)
        if stat.S_IMODE(status.st_mode) != entry.mode:
            os.chmod(name, entry.mode, dir_fd=dir_fd)


def _write_sparse(fd: int, entry: Entry, stream: TarStream) -> None:
    assert entry.regions is not None
    for offset, length in entry.regions:
        os.lseek(fd, offset, os.SEEK_SET)
        stream.write_to(fd, length)
    os.ftruncate(fd, entry.size_bytes)


def _link(source_fd: int, source: bytes, dir_fd: int, name: bytes) -> None:
    os.link(source, name, src_dir_fd=source_fd, dst_dir_fd=dir_fd, follow_symlinks=False)


def _no_target(entry: Entry, path: bytes) -> LayerError:
    return LayerError(
        f"a hard link to nothing in this layer: {printable(path)} -> {printable(entry.link)}"
    )
