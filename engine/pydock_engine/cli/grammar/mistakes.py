"""What was typed wrong, as a UsageError that says what was probably meant."""

from __future__ import annotations

import difflib

import click

from ...errors import PydockError, Unsupported, UsageError

_NOT_YET = {
    "--publish": "-p",
    "--publish-all": "-P",
    "--restart": "",
    "--tty": "-t",
    "--privileged": "",
    "--cap-add": "",
    "--cap-drop": "",
    "--gpus": "",
    "--device": "",
    "--mount": "",
    "--init": "",
    "--link": "",
    "--ulimit": "",
    "--shm-size": "",
    "--health-cmd": "",
    "--volumes-from": "",
    "--add-host": "",
    "--dns": "",
    "--ip": "",
    "--pid": "",
    "--ipc": "",
    "--sysctl": "",
    "--runtime": "",
    "--cpu-shares": "-c",
    "--cpuset-cpus": "",
    "--memory-swap": "",
    "--group-add": "",
    "--cidfile": "",
    "--log-driver": "",
}
"""docker's flags that are known and not offered: said so, instead of "unknown flag"."""


def explain(error: click.ClickException) -> PydockError:
    """click's own complaint in this project's words, with a way out."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is None:
        return UsageError(_lowered(error.format_message()))
    path = ctx.command_path
    more = f"{path} --help lists what it takes"
    if isinstance(error, click.NoSuchOption):
        return unknown_flag(error.option_name, ctx)
    if isinstance(error, click.BadOptionUsage):
        return UsageError(f"{path}: {_lowered(error.message)}", way_out=more)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        name = error.param.metavar or flag_name(error.param)
        return UsageError(f"{path} needs {name.rstrip('.')}", way_out=more)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return UsageError(f"{flag_name(error.param)}: {_lowered(error.message)}", way_out=more)
    return UsageError(f"{path}: {_lowered(error.format_message())}", way_out=more)


def unknown_flag(flag: str, ctx: click.Context) -> PydockError:
    """The error for a flag nobody declared, naming the nearest one that exists."""
    path = ctx.command_path
    for long, short in _NOT_YET.items():
        if flag in (long, short):
            name = f"{long} ({short})" if short else long
            return Unsupported(f"docker's {name} is not there yet", way_out=f"leave out {flag}")
    known = _flags(ctx)
    near = difflib.get_close_matches(flag, [name for name in known if len(name) > 2], 1, 0.6)
    if not near and f"-{flag}" in known:
        near = [f"-{flag}"]
    way_out = f"did you mean {near[0]}?" if near else f"{path} --help lists the flags"
    return UsageError(f"{path}: unknown flag {flag}", way_out=way_out)


def unknown_command(name: str, path: str, known: list[str], meant: str = "") -> UsageError:
    if not meant:
        near = difflib.get_close_matches(name, known, 1, 0.5)
        meant = f"{path} {near[0]}" if near else ""
    way_out = f"did you mean {meant}?" if meant else f"{path} --help lists the commands"
    return UsageError(f"{path}: unknown command {name}", way_out=way_out)


def refuse_single_dash(ctx: click.Context, args: list[str]) -> None:
    """Refuses `-name x` where `--name x` exists: click would read it as `-n -a -m -e`.

    Only the tokens that are this command's flags are looked at: not the values of flags, and
    nothing after IMAGE, which belongs to the program in the container.
    """
    takes_value = _flags(ctx)
    position = 0
    while position < len(args):
        word = args[position]
        position += 1
        if word == "--":
            return
        if not word.startswith("-") or word == "-":
            if not ctx.allow_interspersed_args:
                return
            continue
        flag, equals, _ = word.partition("=")
        if not flag.startswith("--") and len(flag) > 2 and f"-{flag}" in takes_value:
            raise UsageError(
                f"{ctx.command_path}: unknown flag {flag}", way_out=f"did you mean -{flag}?"
            )
        if flag.startswith("--"):
            position += bool(takes_value.get(flag) and not equals)
        else:
            position += _last_takes_value(flag, takes_value)


def flag_name(param: click.Parameter | None) -> str:
    """`--memory` of the option with that name; an argument's metavar otherwise."""
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return (param.human_readable_name if param else "value").upper()


def _last_takes_value(cluster: str, takes_value: dict[str, bool]) -> int:
    """1 when the value of a `-abc` cluster is the next token, else 0."""
    for place, letter in enumerate(cluster[1:], 1):
        if takes_value.get(f"-{letter}"):
            return int(place == len(cluster) - 1)
    return 0


def _lowered(message: str) -> str:
    message = message.rstrip(".")
    return message[:1].lower() + message[1:]


def _flags(ctx: click.Context) -> dict[str, bool]:
    """Every spelling of every flag, and whether it takes a value."""
    return {
        name: not (param.is_flag or param.count)
        for param in ctx.command.get_params(ctx)
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }
