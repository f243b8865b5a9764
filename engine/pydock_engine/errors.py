"""Every error the engine raises on purpose, in one tree.

PydockError                    something the user can read and act on
├── UsageError                 the request makes no sense (bad flag, bad name)
│   └── InvalidReference       an image name that cannot be parsed
├── NotFound                   what was named is not here
│   ├── ImageNotFound          no such image in the store or the registry
│   ├── ContainerNotFound      no such container
│   ├── BlobNotFound           a digest the store does not hold
│   └── CommandNotFound        the image has no such program (exit 127)
├── CommandNotExecutable       the program is there and cannot be run (exit 126)
├── Conflict                   the state forbids it (name taken, still running)
├── RegistryError              the registry said no, or could not be reached
│   ├── RegistryUnreachable    no connection, TLS failure, time-out
│   └── Unauthorized           credentials missing, wrong or not enough
├── IntegrityError             bytes differ from their digest or size
├── PlatformMismatch           the image has no variant for this platform
├── LayerError                 an unsafe or malformed layer
├── StoreError                 the store cannot be written (disk full, bad root)
│   └── DiskFull               no room left
├── SyscallError               the kernel refused a call
├── Unsupported                this machine or level cannot do it
├── ProtocolError              a helper process spoke out of turn or vanished
└── ContainerError             the program ended badly
    ├── ContainerTimeout       --timeout ran out
    └── ContainerDied          its monitor was killed; no exit status is known

Each class has one HTTP status (the API server uses it) and one exit status
(the shell uses it). A message is one lower-case line that names the thing; `way_out`,
when there is one, is a second line that says what to do.
"""

from __future__ import annotations

import errno
import os
from typing import Any, ClassVar


class PydockError(Exception):
    """Base of all errors raised on purpose; `str()` is the message, `way_out` what to do."""

    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 125

    def __init__(self, message: str, *, way_out: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self).__name__, self.message, self.way_out, self.facts))

    def lines(self) -> list[str]:
        """The message, then the way out: what a cell or a terminal shows."""
        return [self.message, self.way_out] if self.way_out else [self.message]


class UsageError(PydockError):
    http_status = 400


class InvalidReference(UsageError):
    pass


class NotFound(PydockError):
    http_status = 404


class ImageNotFound(NotFound):
    pass


class ContainerNotFound(NotFound):
    exit_status = 1


class BlobNotFound(NotFound):
    pass


class CommandNotFound(NotFound):
    http_status = 400
    exit_status = 127


class CommandNotExecutable(PydockError):
    http_status = 400
    exit_status = 126


class Conflict(PydockError):
    http_status = 409


class RegistryError(PydockError):
    """The registry's refusal: `facts` has status, codes, url (secrets removed), temporary."""

    http_status = 502


class RegistryUnreachable(RegistryError):
    pass


class Unauthorized(RegistryError):
    http_status = 401


class IntegrityError(PydockError):
    http_status = 502


class PlatformMismatch(PydockError):
    http_status = 404


class LayerError(PydockError):
    http_status = 400


class StoreError(PydockError):
    pass


class DiskFull(StoreError):
    http_status = 507


class SyscallError(PydockError):
    """A refused system call: `facts` has call, arguments, errno (a number)."""

    @classmethod
    def from_os_error(cls, call: str, error: OSError, detail: str = "") -> SyscallError:
        """The same failure with the call's name; `error.errno` is kept in `facts`."""
        number = error.errno or errno.EIO
        reason = f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
        where = f" {detail}" if detail else ""
        return cls(f"{call}{where}: {reason}", call=call, errno=number)


class Unsupported(PydockError):
    http_status = 501


class ProtocolError(PydockError):
    pass


class ContainerError(PydockError):
    """The program ended with a non-zero status; `result` is the run's result when there is one."""

    exit_status = 1
    result: Any = None


class ContainerTimeout(ContainerError):
    exit_status = 124


class ContainerDied(ContainerError):
    exit_status = 137


def _all_classes(base: type[PydockError]) -> dict[str, type[PydockError]]:
    found = {base.__name__: base}
    for child in base.__subclasses__():
        found.update(_all_classes(child))
    return found


ERRORS: dict[str, type[PydockError]] = _all_classes(PydockError)


def _rebuild(name: str, message: str, way_out: str, facts: dict[str, Any]) -> PydockError:
    return ERRORS.get(name, PydockError)(message, way_out=way_out, **facts)


def from_parts(
    name: str, message: str, way_out: str = "", facts: dict[str, Any] | None = None
) -> PydockError:
    """The error a helper process described over its socket, as an exception of the same class."""
    return _rebuild(name, message, way_out, facts or {})


def disk_error(error: OSError, path: os.PathLike[str] | str) -> PydockError:
    """`error` met while writing under `path`, as DiskFull or StoreError."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"no room left on the disk of {path}",
            way_out="free some space (`%image ls`, `%image rm`) "
            "or set PYDOCK_ROOT to a larger disk",
            path=str(path),
        )
    return StoreError(f"cannot write {path}: {error.strerror}", path=str(path))
