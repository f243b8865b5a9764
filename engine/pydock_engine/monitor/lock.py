"""Who may touch a container: whoever holds its folder's lock (flock, gone with its holder)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

from ..errors import Conflict, ContainerNotFound, StoreError
from ..paths import ContainerPaths

SWEEP_S = 0.25
"""How long somebody may look whether a folder is a leftover; it takes a millisecond."""


def lock_to_start(own: ContainerPaths, container_id: str) -> int:
    """Like `lock_container`, past those who only look whether the folder is a leftover."""
    deadline = time.monotonic() + SWEEP_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Conflict):
            return lock_container(own, container_id)
        time.sleep(0.001)
    return lock_container(own, container_id)


def lock_container(own: ContainerPaths, container_id: str) -> int:
    """A descriptor that holds the lock of the container's folder until it is closed.

    Its monitor holds it while it runs; create and remove hold it for a moment.

    Raises
    ------
    Conflict
        Somebody holds it.
    ContainerNotFound
        The folder is not there.
    """
    try:
        fd = os.open(own.base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise ContainerNotFound(f"no such container: {container_id[:12]}") from error
    except OSError as error:
        raise StoreError(f"{own.base} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise Conflict(
            f"container {container_id[:12]} is running, or being started or removed",
            way_out="stop it first",
        ) from error
    if os.fstat(fd).st_nlink == 0:  # removed between open and flock
        os.close(fd)
        raise ContainerNotFound(f"no such container: {container_id[:12]}")
    return fd
