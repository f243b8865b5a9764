"""Files of this machine on their way into a layer: a path in the image for each."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from ..layer import pack
from ..layer.pack import Item


class Tree:
    """The items of one layer; what the layers `below` have already is not added again.

    Files keep their host's path unless told otherwise, with links among the parents resolved:
    where the host has `/bin -> usr/bin` the image has it, too. Owners become root's, and nobody
    but the owner may write. `skipped` counts files this user cannot read.
    """

    def __init__(self, below: Tree | None = None) -> None:
        self._items: dict[str, Item] = {}
        self._below = below
        self.skipped = 0

    def __contains__(self, path: str) -> bool:
        return path in self._items or (self._below is not None and path in self._below)

    def items(self) -> list[Item]:
        return list(self._items.values())

    def folder(self, path: str, mode: int = 0o755) -> None:
        if path.strip("/") and path not in self:
            self._parents(path)
            self._items[path] = pack.folder(_name(path), mode)

    def link(self, path: str, target: str) -> None:
        self._add(path, pack.symlink(_name(path), os.fsencode(target)))

    def text(self, path: str, content: str, mode: int = 0o644) -> None:
        self._add(path, Item(_name(path), mode=mode, content=content.encode()))

    def host(self, path: str, at: str | None = None) -> None:
        """Adds a host's file; a link becomes one to what it finally leads to, which comes along.

        Does nothing when there is no such file.
        """
        path = canonical(path)
        place = at or path
        if place in self:
            return
        try:
            status = os.lstat(path)
        except OSError:
            return
        if stat.S_ISLNK(status.st_mode):
            real = os.path.realpath(path)
            if os.path.isfile(real):
                self.host(real)
                self.link(place, real)
        elif stat.S_ISREG(status.st_mode):
            self._file(path, place, status)

    def copy(self, source: str, at: str, wanted: Callable[[str, bool], bool]) -> None:
        """Adds the folder `source` as `at`: those files and folders for which `wanted(path
        relative to source, is_folder)` is true. Links are kept when they stay inside.
        """
        self._copy(source, at, "", wanted)

    def _copy(self, source: str, at: str, below: str, wanted: Callable[[str, bool], bool]) -> None:
        self.folder(at)
        try:
            entries = sorted(os.scandir(source), key=lambda entry: entry.name)
        except OSError:
            self.skipped += 1
            return
        for entry in entries:
            relative = f"{below}{entry.name}"
            is_folder = entry.is_dir(follow_symlinks=False)
            if not wanted(relative, is_folder):
                continue
            place = f"{at}/{entry.name}"
            if is_folder:
                self._copy(entry.path, place, f"{relative}/", wanted)
            elif entry.is_symlink():
                self._copy_link(entry.path, place)
            elif entry.is_file() and place not in self:
                self._file(entry.path, place, entry.stat(follow_symlinks=False))

    def _copy_link(self, path: str, place: str) -> None:
        target = os.readlink(path)
        if "/" not in target:
            self.link(place, target)
        elif os.path.isfile(path):  # what it leads to may not come along: take its content
            real = os.path.realpath(path)
            self._file(real, place, os.stat(real))

    def _file(self, path: str, place: str, status: os.stat_result) -> None:
        if not os.access(path, os.R_OK):
            self.skipped += 1
            return
        mode = 0o755 if status.st_mode & 0o111 else 0o644
        time_s = int(status.st_mtime)  # pyc files remember the second their source was changed
        item = Item(_name(place), mode=mode, mtime_s=time_s, source=os.fsencode(path))
        self._add(place, item)

    def _add(self, path: str, item: Item) -> None:
        if path not in self:
            self._parents(path)
            self._items[path] = item

    def _parents(self, path: str) -> None:
        self.folder(os.path.dirname(path))


def canonical(path: str) -> str:
    """`path` with links among its parents resolved, and its last name left alone."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _name(path: str) -> bytes:
    return os.fsencode(path.lstrip("/"))
