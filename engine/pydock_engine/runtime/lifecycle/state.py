"""A container's folder `<root>/<id>/`: state.json, the socket its init waits at, a lock.

state.json holds what does not change once init exists; `status` is found out anew: it is what the
process and its groups say. Source: runtime-spec runtime.md, "State" and "Lifecycle".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ... import errors
from ...oci.runtime import Spec
from .groups import Groups, find_groups

_ID = re.compile(r"[A-Za-z0-9_+.-]{1,1024}")
_MAX_STATE_BYTES = 16 << 20
START_SOCKET = "start"
CREATED, RUNNING, PAUSED, STOPPED = "created", "running", "paused", "stopped"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """state.json."""

    id: str
    bundle: str
    rootfs: str
    created: str
    """RFC 3339, UTC."""
    pid: int
    pid_started: int
    """Clock ticks since boot (field 22 of /proc/PID/stat): tells it from a later one."""
    groups: str
    spec: Spec


class Container:
    """One folder below `root`."""

    def __init__(self, root: Path, container_id: str) -> None:
        if not _ID.fullmatch(container_id) or container_id in (".", ".."):
            raise errors.UsageError(f"invalid container id {container_id!r}")
        self.id = container_id
        self.folder = root / container_id

    def make(self) -> None:
        """Takes the id. Raises Conflict when it is taken."""
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            raise errors.Conflict(f"container with id {self.id} exists") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with this container; the kernel lets go when we are killed."""
        try:
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._missing() from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def record(self) -> Record:
        """Raises ContainerNotFound (also for one still being made), StoreError."""
        try:
            with (self.folder / "state.json").open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_STATE_BYTES), type=Record)
        except FileNotFoundError:
            raise self._missing() from None
        except msgspec.MsgspecError as error:
            raise errors.StoreError(f"{self.folder}/state.json is damaged: {error}") from error

    def write(self, record: Record) -> None:
        """All or nothing."""
        new = self.folder / "state.json.new"
        new.write_bytes(msgspec.json.encode(record))
        new.rename(self.folder / "state.json")

    def status(self, record: Record) -> str:
        if not is_alive(record.pid, record.pid_started):
            return STOPPED
        if (self.folder / START_SOCKET).exists():
            return CREATED
        return PAUSED if self.groups(record).is_frozen() else RUNNING

    def groups(self, record: Record) -> Groups:
        return find_groups(record.groups)

    def remove(self) -> None:
        """The folder, which holds files only; a missing one is fine."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                (self.folder / name).unlink(missing_ok=True)
            self.folder.rmdir()

    def _missing(self) -> errors.PydockError:
        return errors.ContainerNotFound(f'container "{self.id}" does not exist')


def open_socket_folder(folder: Path) -> int:
    """A descriptor to name the socket by: sun_path holds 107 bytes, folders may have more."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def socket_name(folder_fd: int) -> str:
    return f"/proc/self/fd/{folder_fd}/{START_SOCKET}"


def start_ticks(pid: int) -> int:
    """When `pid` was started. Raises OSError, also (ESRCH) for a zombie."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    try:
        return pid > 0 and start_ticks(pid) == started
    except OSError:
        return False


def document(record: Record, status: str) -> dict[str, object]:
    """The State of the specification, with what runc adds to it."""
    stopped = status == STOPPED
    return {
        "ociVersion": record.spec.oci_version,
        "id": record.id,
        "status": status,
        "pid": 0 if stopped else record.pid,
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
        "owner": "",
        "annotations": record.spec.annotations,
    }


def for_hooks(record: Record, status: str) -> bytes:
    """What hooks read on stdin."""
    known = document(record, status)
    names = ("ociVersion", "id", "status", "pid", "bundle", "annotations")
    return msgspec.json.encode({name: known[name] for name in names})
