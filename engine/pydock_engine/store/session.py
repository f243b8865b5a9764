"""What one pull has half done, in folders that tell whether it is still alive.

`ingest/<session>/lock` is locked by the process that fills the folder; layers being unpacked are
`layers/ingest/<session>.<n>`. A killed process loses its lock with its life, so whoever comes next
can tell leftovers from work under way.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import errors
from ..paths import Paths

LOCK = "lock"
DOOMED = ".gone"
"""Suffix of a folder on its way out. Taking the name is the atomic step: a job that still means to
move the folder into place fails instead of moving what is being deleted."""


class Session:
    """One locked ingest folder; `close` removes it with everything in it."""

    def __init__(self, paths: Paths, name: str, lock_fd: int) -> None:
        self.name = name
        self.folder = paths.ingest / name
        self._layers_ingest = paths.layers_ingest
        self._lock_fd = lock_fd

    def file(self, name: str) -> Path:
        """Where a blob under way is written."""
        return self.folder / name

    def layer(self, name: str) -> Path:
        """Where a layer under way is unpacked: a name nothing has yet."""
        return self._layers_ingest / f"{self.name}.{name}"

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock_fd)


@contextmanager
def open_session(paths: Paths) -> Iterator[Session]:
    """A session whose folder exists and is locked before anyone can see its final name.

    Raises DiskFull or StoreError when it cannot be made.
    """
    try:
        session = _start(paths, secrets.token_hex(8))
    except OSError as error:
        raise errors.disk_error(error, paths.root) from error
    try:
        yield session
    finally:
        session.close()


def _start(paths: Paths, name: str) -> Session:
    starting = paths.ingest / f".{name}"
    starting.mkdir(mode=0o700)
    fd = os.open(starting / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        starting.rename(paths.ingest / name)
    except BaseException:
        os.close(fd)
        raise
    return Session(paths, name, fd)


def is_alive(paths: Paths, name: str) -> bool:
    """Whether a process still holds session `name`."""
    try:
        fd = os.open(paths.ingest / name / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def dead_sessions(paths: Paths) -> list[str]:
    """Names of ingest folders nobody holds, half-made ones included.

    A `.name` folder is between mkdir and rename for an instant; it counts as dead only when its
    lock file is there and free, or when it is empty and older than a minute.
    """
    dead = []
    for entry in os.scandir(paths.ingest):
        if entry.is_dir(follow_symlinks=False) and not is_alive(paths, entry.name):
            starting = entry.name.startswith(".")
            if not starting or _older_than_a_minute(entry):
                dead.append(entry.name)
    return dead


def leftover_layers(paths: Paths) -> list[Path]:
    """Folders below layers/ingest that no living session owns."""
    found = []
    for entry in os.scandir(paths.layers_ingest):
        owner = entry.name.partition(".")[0]
        if entry.name.endswith(DOOMED) or not is_alive(paths, owner):
            found.append(Path(entry.path))
    return found


def doom(path: Path, paths: Paths) -> Path | None:
    """Moves `path` out of sight, to a doomed name in layers/ingest; None when it was not there."""
    target = paths.layers_ingest / f"{secrets.token_hex(8)}{DOOMED}"
    try:
        path.rename(target)
    except FileNotFoundError:
        return None
    return target


def _older_than_a_minute(entry: os.DirEntry[str]) -> bool:
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > 60
    except FileNotFoundError:
        return False
