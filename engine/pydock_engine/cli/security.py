"""`--security-opt` as it is typed; files are read here, by whoever typed it."""

from __future__ import annotations

import os
from typing import Any

from ..errors import Unsupported, UsageError

_KNOWN = "use no-new-privileges=true or false, seccomp=unconfined, or seccomp=FILE"


def parse_security(text: str) -> dict[str, Any]:
    """The fields of RunOptions that `NAME[=VALUE]` (docker's older form has a colon) sets.

    Raises UsageError for an option docker has not, or a file that is no profile; Unsupported for
    the security modules that are not there yet.
    """
    equals = text.partition("=")
    name, _, value = equals if equals[1] else text.partition(":")
    if name == "no-new-privileges" and value in ("", "true", "false"):
        return {"no_new_privileges": value != "false"}
    if name == "seccomp" and value:
        return {"seccomp": _seccomp(value)}
    if name in ("apparmor", "label", "systempaths", "credentialspec", "writable-cgroups"):
        raise Unsupported(f"{text!r} is not supported", way_out=_KNOWN)
    raise UsageError(f"{text!r} is not a security option", way_out=_KNOWN)


def _seccomp(value: str) -> str | None:
    """None for the default, which docker calls `builtin`; else what RunOptions.seccomp holds."""
    if value == "builtin":
        return None
    if value == "unconfined":
        return value
    # Imported where a file is read: the tables of system calls are the runtime's affair.
    from ..runtime.seccomp import docker_profile

    try:
        with open(os.path.expanduser(value), "rb") as file:
            data = file.read(docker_profile.MAX_PROFILE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise UsageError(f"seccomp={value}: {reason}", way_out=_KNOWN) from error
    try:
        docker_profile.decode(data)
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{value}: not a text file") from error
    except UsageError as error:
        raise UsageError(f"{value}: {error.message}") from error
