"""What can be done to a container that exists: start, kill, delete, pause, resume, and looking.

Illegal transitions are Conflict, with runc's words where its callers read them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

from ... import errors
from ...oci.runtime import Resources
from .. import sync
from . import hooks
from .state import (
    CREATED,
    PAUSED,
    RUNNING,
    START_SOCKET,
    STOPPED,
    Container,
    Record,
    for_hooks,
    is_alive,
    open_socket_folder,
    socket_name,
)


def start(container: Container) -> None:
    """Lets init become the program; returns once it has.

    Raises Conflict when the container is not created, else what init says.
    """
    with container.locked():
        record = container.record()
        status = container.status(record)
        if status == STOPPED:
            raise errors.Conflict("cannot start a container that has stopped")
        if status != CREATED:
            raise errors.Conflict(f"cannot start an already {status} container")
        _let_go(container)
        hooks.run_hooks("poststart", record.spec.hooks.poststart, for_hooks(record, RUNNING))


def _let_go(container: Container) -> None:
    folder = open_socket_folder(container.folder)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            try:
                sock.connect(socket_name(folder))
            except OSError as error:
                raise errors.SyscallError.from_os_error("connect", error, "to init") from error
            (container.folder / START_SOCKET).unlink(missing_ok=True)
            answer, _ = sync.SyncChannel(sock).receive()
    finally:
        os.close(folder)
    if isinstance(answer, sync.Failure):
        raise sync.error_of(answer)


def kill(container: Container, number: int, *, everything: bool = False) -> None:
    """Sends a signal to init, or to all that is inside. Raises Conflict when it has stopped."""
    record = container.record()
    if everything:
        container.groups(record).kill(number)
        return
    send_signal(record, number)
    if number == signal.SIGKILL:
        groups = container.groups(record)
        if "pid" not in {namespace.type for namespace in record.spec.linux.namespaces}:
            groups.kill()  # without pids of its own nothing dies with init
        if groups.is_frozen():
            groups.freeze(frozen=False)


def send_signal(record: Record, number: int) -> None:
    """To the very process that is meant, never to a later one of the same number."""
    try:
        pidfd = os.pidfd_open(record.pid)
        try:
            if not is_alive(record.pid, record.pid_started):
                raise ProcessLookupError
            signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
    except ProcessLookupError:
        raise errors.Conflict("container not running") from None


def delete(container: Container, *, force: bool = False) -> None:
    """Removes what is left of a stopped container; `force` ends it first, and misses nothing."""
    try:
        with container.locked():
            record = _record_or_nothing(container, force=force)
            if record is None:
                container.remove()
                return
            status = container.status(record)
            if status not in (STOPPED, CREATED) and not force:
                raise errors.Conflict(f"cannot delete container {container.id}: it is {status}")
            _end(container, record)
    except errors.ContainerNotFound:
        if not force:
            raise


def _record_or_nothing(container: Container, *, force: bool) -> Record | None:
    """Nothing for what a killed `create` has left, which only `force` removes."""
    try:
        return container.record()
    except (errors.ContainerNotFound, errors.StoreError):
        if not force:
            raise
    return None


def _end(container: Container, record: Record) -> None:
    with contextlib.suppress(errors.Conflict):
        send_signal(record, signal.SIGKILL)
        _wait_for_end(record)
    container.groups(record).remove()
    state = for_hooks(record, STOPPED)
    failed: errors.PydockError | None = None
    try:
        hooks.run_hooks("poststop", record.spec.hooks.poststop, state)
    except errors.PydockError as error:
        failed = error
    container.remove()
    if failed is not None:
        raise failed


def _wait_for_end(record: Record) -> None:
    """Whoever its parent is reaps it; dead is enough for us."""
    import select

    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(10_000)
    os.close(pidfd)


def pause(container: Container) -> None:
    _freeze(container, frozen=True, allowed=(RUNNING, CREATED))


def resume(container: Container) -> None:
    _freeze(container, frozen=False, allowed=(PAUSED,))


def _freeze(container: Container, *, frozen: bool, allowed: tuple[str, ...]) -> None:
    with container.locked():
        record = container.record()
        status = container.status(record)
        if status not in allowed:
            verb = "pause" if frozen else "resume"
            raise errors.Conflict(f"cannot {verb} a container that is {status}")
        container.groups(record).freeze(frozen=frozen)


def update(container: Container, resources: Resources) -> None:
    """Writes other limits to the groups of a container that has not stopped."""
    with container.locked():
        record = container.record()
        if container.status(record) == STOPPED:
            raise errors.Conflict("container not running")
        container.groups(record).apply(resources)


def processes(container: Container) -> list[int]:
    record = container.record()
    if container.status(record) == STOPPED:
        raise errors.Conflict("container not running")
    return container.groups(record).processes()


def statistics(container: Container) -> dict[str, int]:
    """Numbers of the groups, by the names of their files."""
    record = container.record()
    if container.status(record) == STOPPED:
        raise errors.Conflict("container not running")
    return container.groups(record).numbers()


def all_containers(root: Path) -> list[tuple[Record, str]]:
    """Every container below `root` with its status; damaged ones are left out."""
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        with contextlib.suppress(errors.PydockError):
            container = Container(root, folder.name)
            record = container.record()
            found.append((record, container.status(record)))
    return found
