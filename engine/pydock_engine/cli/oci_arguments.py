"""The command line of `pydock-oci`: runc's flags, read without a library.

Every call is a new process, so what parses costs; Go's habits are kept: `-flag` is `--flag`,
`--flag=value` is `--flag value`, flags end at the first word that is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import UsageError

GLOBAL = {
    "--root": "text",
    "--log": "text",
    "--log-format": "text",
    "--rootless": "text",
    "--debug": "",
    "--systemd-cgroup": "",
    "--version": "",
    "--help": "",
}
_CREATE = {
    "--bundle": "text",
    "--console-socket": "text",
    "--pid-file": "text",
    "--preserve-fds": "number",
    "--no-pivot": "",
    "--no-new-keyring": "",
}
_LIMITS = [
    "--blkio-weight",
    "--cpu-burst",
    "--cpu-period",
    "--cpu-quota",
    "--cpu-rt-period",
    "--cpu-rt-runtime",
    "--cpu-share",
    "--cpuset-cpus",
    "--cpuset-mems",
    "--memory",
    "--memory-reservation",
    "--memory-swap",
    "--pids-limit",
    "--cpu-idle",
]
COMMANDS: dict[str, dict[str, str]] = {
    "create": _CREATE,
    "run": {**_CREATE, "--detach": "", "--keep": ""},
    "start": {},
    "state": {},
    "kill": {"--all": ""},
    "delete": {"--force": ""},
    "exec": {
        "--process": "text",
        "--detach": "",
        "--tty": "",
        "--pid-file": "text",
        "--console-socket": "text",
        "--preserve-fds": "number",
        "--cwd": "text",
        "--env": "texts",
        "--user": "text",
        "--additional-gids": "texts",
        "--cap": "texts",
        "--no-new-privs": "",
        "--ignore-paused": "",
    },
    "ps": {"--format": "text"},
    "pause": {},
    "resume": {},
    "list": {"--format": "text", "--quiet": ""},
    "update": {"--resources": "text", **dict.fromkeys(_LIMITS, "text")},
    "events": {"--stats": "", "--interval": "text"},
    "features": {},
    "spec": {"--bundle": "text", "--rootless": ""},
}
"""Each command's flags and what follows: nothing, a text (the last counts), texts, a number."""

_SHORT = {
    "-b": "--bundle",
    "-d": "--detach",
    "-t": "--tty",
    "-p": "--process",
    "-e": "--env",
    "-u": "--user",
    "-c": "--cap",
    "-g": "--additional-gids",
    "-a": "--all",
    "-q": "--quiet",
    "-r": "--resources",
    "-v": "--version",
    "-h": "--help",
}


@dataclass
class Arguments:
    """One call, taken apart."""

    command: str = ""
    flags: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def has(self, flag: str) -> bool:
        return self.flags.get(flag, "") not in ("", "false")

    def text(self, flag: str, default: str = "") -> str:
        return self.flags.get(flag, default)

    def number(self, flag: str) -> int:
        return int(self.flags.get(flag, "0"))


def parse(arguments: list[str]) -> Arguments:
    """Raises UsageError naming the flag or command."""
    result = Arguments()
    rest = _flags(arguments, GLOBAL, result)
    if not rest:
        return result
    result.command, *rest = rest
    if result.command not in COMMANDS:
        raise UsageError(f"unknown command {result.command!r}")
    result.words = _flags(rest, COMMANDS[result.command], result)
    if result.command == "kill":  # runc takes its flag behind the words as well
        words = [word for word in result.words if word not in ("--all", "-a")]
        if len(words) < len(result.words):
            result.flags["--all"] = "true"
        result.words = words
    return result


def _flags(words: list[str], known: dict[str, str], result: Arguments) -> list[str]:
    """Takes flags off the front; returns what is left."""
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=")
        name = _name(name, known)
        kind = known[name]
        if kind and not equals:
            if not rest:
                raise UsageError(f"flag needs a value: {name}")
            value = rest.pop(0)
        elif not kind and not equals:
            value = "true"
        if kind == "number" and not (value.isascii() and value.isdigit()):
            raise UsageError(f"{name} {value!r} is not a number")
        if kind == "texts":
            result.lists.setdefault(name, []).append(value)
        else:
            result.flags[name] = value
    return rest


def _name(name: str, known: dict[str, str]) -> str:
    if name == "-f":
        name = "--force" if "--force" in known else "--format"
    full = _SHORT.get(name, name)
    if full not in known and not full.startswith("--"):
        full = f"-{name}"
    if full not in known:
        raise UsageError(f"unknown flag {name}")
    return full
