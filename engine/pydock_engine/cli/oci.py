"""`pydock-oci`: the runtime with runc's interface, for podman, dockerd and by hand."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from .. import __version__, errors
from .oci_arguments import COMMANDS, Arguments, parse

_DEFAULT_ROOT = "/run/pydock-oci"


def main() -> None:
    """The console script: runs one command and ends the process."""
    arguments = Arguments()
    try:
        arguments = parse(sys.argv[1:])
        status = _run(arguments)
    except errors.PydockError as error:
        _complain(arguments, error.message)
        status = _status_of(arguments, error)
    except OSError as error:
        _complain(arguments, f"{error.filename or 'pydock-oci'}: {error.strerror}".lower())
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    # No interpreter to take down: init and exec have left nothing that needs it.
    os._exit(status)


def _run(arguments: Arguments) -> int:
    if arguments.has("--version"):
        print(f"pydock-oci version {__version__}\nspec: 1.2.0")
        return 0
    if arguments.has("--help") or not arguments.command:
        print("usage: pydock-oci [GLOBAL FLAGS] COMMAND [FLAGS] [CONTAINER] [ARGUMENTS]")
        print("commands: " + " ".join(COMMANDS))
        return 0 if arguments.has("--help") else 1
    if arguments.has("--systemd-cgroup"):
        raise errors.Unsupported("groups made by systemd are not supported: use cgroupfs")
    from . import oci_commands

    return oci_commands.run(arguments, _root(arguments))


def _root(arguments: Arguments) -> Path:
    """`--root`; else below $XDG_RUNTIME_DIR for an ordinary user."""
    given = arguments.text("--root")
    if given:
        return Path(os.path.abspath(given))
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() != 0 and runtime:
        return Path(runtime) / "pydock-oci"
    return Path(_DEFAULT_ROOT)


def _status_of(arguments: Arguments, error: errors.PydockError) -> int:
    """As runc: 255 for a failed `exec`, else 1; but 127 and 126 for what cannot be executed."""
    if arguments.command in ("run", "exec") and error.exit_status in (126, 127):
        return error.exit_status
    return 255 if arguments.command == "exec" else 1


def _complain(arguments: Arguments, message: str) -> None:
    """To stderr, and to `--log` in the form its readers parse."""
    line = message if arguments.text("--log") else f"pydock-oci: {message}"
    sys.stderr.write(f"{line}\n")
    path = arguments.text("--log")
    if not path:
        return
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if arguments.text("--log-format") == "json":
        import json

        text = json.dumps({"level": "error", "msg": message, "time": now})
    else:
        text = f'time="{now}" level=error msg="{message}"'
    try:
        with open(path, "a") as file:
            file.write(text + "\n")
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror}\n")


if __name__ == "__main__":
    main()
