"""The commands of `pydock-oci`: words and flags on one side, runtime/lifecycle on the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..container.signals import signal_number
from ..errors import UsageError
from ..oci.runtime import Process, Resources, User
from ..runtime.bundle import load_spec, without_nulls
from ..runtime.lifecycle import actions, foreground
from ..runtime.lifecycle.create import CreateOptions, create
from ..runtime.lifecycle.exec_process import ExecOptions, execute_in
from ..runtime.lifecycle.state import Container, document
from .oci_arguments import Arguments

_MAX_INPUT_BYTES = 4 << 20


def run(arguments: Arguments, root: Path) -> int:
    """The exit status of the command. Raises PydockError."""
    if arguments.command in _ROOT_COMMANDS:
        return _ROOT_COMMANDS[arguments.command](arguments, root)
    if not arguments.words:
        raise UsageError(f"{arguments.command} needs the id of a container")
    container = Container(root, arguments.words.pop(0))
    return _COMMANDS[arguments.command](arguments, container)


def _create(arguments: Arguments, container: Container) -> int:
    options = _create_options(arguments)
    create(container, load_spec(options.bundle), options)
    return 0


def _run(arguments: Arguments, container: Container) -> int:
    options = _create_options(arguments)
    spec = load_spec(options.bundle)
    keep = arguments.has("--keep")
    if arguments.has("--detach"):
        create(container, spec, options)
        return foreground.start_or_delete(container)
    return foreground.run(container, spec, options, keep=keep)


def _create_options(arguments: Arguments) -> CreateOptions:
    return CreateOptions(
        bundle=Path(arguments.text("--bundle", ".")).absolute(),
        console_socket=arguments.text("--console-socket"),
        pid_file=arguments.text("--pid-file"),
        preserve_fds=arguments.number("--preserve-fds"),
        no_pivot=arguments.has("--no-pivot"),
        no_new_keyring=arguments.has("--no-new-keyring"),
    )


def _start(arguments: Arguments, container: Container) -> int:
    actions.start(container)
    return 0


def _state(arguments: Arguments, container: Container) -> int:
    record = container.record()
    print(_json(document(record, container.status(record)), indent=2))
    return 0


def _kill(arguments: Arguments, container: Container) -> int:
    number = signal_number(arguments.words[0]) if arguments.words else int(signal.SIGTERM)
    actions.kill(container, number, everything=arguments.has("--all"))
    return 0


def _delete(arguments: Arguments, container: Container) -> int:
    actions.delete(container, force=arguments.has("--force"))
    return 0


def _exec(arguments: Arguments, container: Container) -> int:
    record = container.record()
    wanted = _process(arguments, record.spec.process)
    options = ExecOptions(
        console_socket=arguments.text("--console-socket"),
        pid_file=arguments.text("--pid-file"),
        preserve_fds=arguments.number("--preserve-fds"),
        ignore_paused=arguments.has("--ignore-paused"),
    )
    pid = execute_in(container, wanted, options)
    return 0 if arguments.has("--detach") else foreground.wait(pid)


def _process(arguments: Arguments, own: Process) -> Process:
    """The document of --process, or the container's own process with what the flags change."""
    if path := arguments.text("--process"):
        given = _read_json(path)
        return msgspec.convert(given, Process)
    if not arguments.words:
        raise UsageError("exec needs a command or --process")
    changes: dict[str, Any] = {
        "args": tuple(arguments.words),
        "terminal": arguments.has("--tty"),
        "env": (*own.env, *arguments.lists.get("--env", ())),
    }
    if arguments.text("--cwd"):
        changes["cwd"] = arguments.text("--cwd")
    if user := arguments.text("--user"):
        uid, _, gid = user.partition(":")
        changes["user"] = User(uid=_number(uid), gid=_number(gid or "0"))
    if groups := arguments.lists.get("--additional-gids"):
        user_now = changes.get("user", own.user)
        gids = tuple(_number(word) for word in groups)
        changes["user"] = msgspec.structs.replace(user_now, additional_gids=gids)
    if extra := tuple(arguments.lists.get("--cap", ())):
        sets = own.capabilities
        names = {n: (*getattr(sets, n, ()), *extra) for n in ("bounding", "effective", "permitted")}
        from ..oci.runtime import Capabilities

        changes["capabilities"] = Capabilities(**names)
    if arguments.has("--no-new-privs"):
        changes["no_new_privileges"] = True
    return msgspec.structs.replace(own, **changes)


def _ps(arguments: Arguments, container: Container) -> int:
    pids = actions.processes(container)
    if arguments.text("--format") == "json":
        print(_json(pids))
        return 0
    command = ["ps", *(arguments.words or ["-f"]), "-p", ",".join(map(str, pids))]
    pid = os.posix_spawnp("ps", command, os.environ)
    return foreground.wait(pid)


def _pause(arguments: Arguments, container: Container) -> int:
    actions.pause(container)
    return 0


def _resume(arguments: Arguments, container: Container) -> int:
    actions.resume(container)
    return 0


_LIMITS = {
    "--blkio-weight": ("blockIO", "weight"),
    "--cpu-burst": ("cpu", "burst"),
    "--cpu-period": ("cpu", "period"),
    "--cpu-quota": ("cpu", "quota"),
    "--cpu-rt-period": ("cpu", "realtimePeriod"),
    "--cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "--cpu-share": ("cpu", "shares"),
    "--cpu-idle": ("cpu", "idle"),
    "--cpuset-cpus": ("cpu", "cpus"),
    "--cpuset-mems": ("cpu", "mems"),
    "--memory": ("memory", "limit"),
    "--memory-reservation": ("memory", "reservation"),
    "--memory-swap": ("memory", "swap"),
    "--pids-limit": ("pids", "limit"),
}


def _update(arguments: Arguments, container: Container) -> int:
    given: dict[str, Any] = {}
    if path := arguments.text("--resources"):
        given = _read_json(path)
    for flag, (group, name) in _LIMITS.items():
        if text := arguments.text(flag):
            value = text if name in ("cpus", "mems") else _number(text)
            given.setdefault(group, {})[name] = value
    actions.update(container, msgspec.convert(given, Resources))
    return 0


def _events(arguments: Arguments, container: Container) -> int:
    if not arguments.has("--stats"):
        raise UsageError("events without --stats is not supported: read the groups' own events")
    data = actions.statistics(container)
    print(_json({"type": "stats", "id": container.id, "data": data}))
    return 0


def _list(arguments: Arguments, root: Path) -> int:
    found = [document(record, status) for record, status in actions.all_containers(root)]
    if arguments.has("--quiet"):
        print("\n".join(str(entry["id"]) for entry in found))
    elif arguments.text("--format") == "json":
        print(_json(found))
    else:
        print(f"{'ID':<20} {'PID':<8} {'STATUS':<9} {'BUNDLE':<30} CREATED")
        for e in found:
            row = f"{e['id']!s:<20} {e['pid']!s:<8} {e['status']!s:<9} {e['bundle']!s:<30}"
            print(f"{row} {e['created']}")
    return 0


def _features(arguments: Arguments, root: Path) -> int:
    from ..runtime.lifecycle.features import features

    print(_json(features(), indent=2))
    return 0


def _spec(arguments: Arguments, root: Path) -> int:
    from ..runtime.lifecycle.features import example

    path = Path(arguments.text("--bundle", ".")) / "config.json"
    try:
        with path.open("x") as file:
            file.write(_json(example(rootless=arguments.has("--rootless")), indent=2) + "\n")
    except FileExistsError:
        raise UsageError(f"{path} exists: remove it first") from None
    return 0


def _read_json(path: str) -> Any:
    """The document in `path`, or on stdin for `-`."""
    try:
        with open(0 if path == "-" else path, "rb") as file:
            data = file.read(_MAX_INPUT_BYTES)
        return without_nulls(msgspec.json.decode(data))
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"{path}: {error}") from error


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number") from None


def _json(value: object, *, indent: int = 0) -> str:
    data = msgspec.json.encode(value)
    return (msgspec.json.format(data, indent=indent) if indent else data).decode()


_ROOT_COMMANDS: dict[str, Callable[[Arguments, Path], int]] = {
    "list": _list,
    "features": _features,
    "spec": _spec,
}
_COMMANDS: dict[str, Callable[[Arguments, Container], int]] = {
    "create": _create,
    "run": _run,
    "start": _start,
    "state": _state,
    "kill": _kill,
    "delete": _delete,
    "exec": _exec,
    "ps": _ps,
    "pause": _pause,
    "resume": _resume,
    "update": _update,
    "events": _events,
}
