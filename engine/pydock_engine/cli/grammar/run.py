"""`container run`: docker's flags, IMAGE, a command; also the option line of `%%container`."""

from __future__ import annotations

from typing import Any

import click

from ...container.options import RunOptions
from .. import environment
from . import types
from .command import Command
from .front import front
from .launch import launch
from .options import platform_option

_EXAMPLES = (
    "container run --rm debian:12 cat /etc/os-release",
    "container run --rm -e NAME=x -v ./data:/data:ro -m 512m --timeout 30s debian:12 ls /data",
)


@click.command(
    cls=Command,
    topic="container run",
    examples=_EXAMPLES,
    context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]},
)
@click.option("--name", metavar="NAME", help="Call the container NAME.")
@click.option("--rm", is_flag=True, help="Remove the container when it has ended.")
@click.option("-d", "--detach", is_flag=True, help="Leave it running and come back at once.")
@click.option("-i", "--interactive", is_flag=True, help="Hand standard input to the program.")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable.")
@click.option("--env-file", multiple=True, metavar="FILE", help="Set the variables in FILE.")
@click.option(
    "-v",
    "--volume",
    multiple=True,
    type=types.VOLUME,
    help="Show a folder of this machine.",
)
@click.option("-w", "--workdir", metavar="DIR", help="Start in DIR.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as USER, a name or a number.")
@click.option("--entrypoint", metavar="PROGRAM", help="Replace the image's entrypoint.")
@click.option("-h", "--hostname", type=types.HOSTNAME, help="The container's own host name.")
@click.option(
    "--network",
    "--net",
    type=click.Choice(["none", "host"]),
    default="none",
    show_default=True,
    help="none: only a loopback device; host: this machine's network.",
)
@click.option("-m", "--memory", type=types.SIZE, help="At most this much memory: 512m, 2g.")
@click.option("--cpus", type=types.CPUS, help="At most this much processor time: 0.5, 2.")
@click.option("--pids-limit", type=types.PIDS, help="At most this many processes.")
@click.option("--read-only", is_flag=True, help="Nothing in the image can be written.")
@click.option("--tmpfs", multiple=True, type=types.TMPFS, help="An empty folder in memory.")
@click.option("--timeout", type=types.DURATION, help="End the program after 30s, 5m, 1h30m.")
@click.option("--stop-signal", type=types.SIGNAL_NAME, help="What `stop` sends first.")
@click.option(
    "--userns",
    type=click.Choice(["host"]),
    help="host: no user namespace of its own (root inside is root outside).",
)
@click.option("-l", "--label", multiple=True, type=types.LABEL, help="Attach a label.")
@click.option(
    "--security-opt",
    multiple=True,
    type=types.SECURITY,
    help="no-new-privileges=false: let setuid programs work; seccomp=unconfined or FILE: the calls"
    " a program may make.",
)
@click.option(
    "--best-effort",
    is_flag=True,
    help="Go on without what this machine cannot enforce; the result lists it.",
)
@click.option(
    "--with-env", is_flag=True, help="Show this Python's own packages in the default image."
)
@click.option("--interpreter", metavar="PROGRAM", help="What runs the body of a cell.")
@click.option(
    "--pull",
    type=click.Choice(["missing", "always", "never"]),
    default="missing",
    show_default=True,
    help="When to fetch the image.",
)
@platform_option
@click.option("-q", "--quiet", is_flag=True, help="No progress of a pull.")
@click.option(
    "--raise-error/--no-raise-error",
    default=None,
    help="Whether a cell fails when the program does.",
)
@click.argument("image", metavar="[IMAGE]", required=False)
@click.argument("command", metavar="[COMMAND] [ARG]...", nargs=-1, type=click.UNPROCESSED)
def run(image: str | None, command: tuple[str, ...], **flags: Any) -> Any:
    """Run a program in a new container.

    With no IMAGE it is the default image, made of this machine's own Python. With no COMMAND the
    body of a cell is the program; with one it is the program's standard input.
    """
    here = front()
    options = run_options(image or "", command, flags)
    return launch(here, options, flags)


def run_options(image: str, command: tuple[str, ...], flags: dict[str, Any]) -> RunOptions:
    """The engine's value for what was typed; an empty `image` stands for the default one."""
    entrypoint = flags["entrypoint"]
    security: dict[str, Any] = {}
    for said in flags["security_opt"]:
        security |= said
    return RunOptions(
        image=image,
        command=command,
        entrypoint=None if entrypoint is None else ((entrypoint,) if entrypoint else ()),
        name=flags["name"],
        rm=flags["rm"],
        detach=flags["detach"],
        env=environment.merge_environment(flags["env_file"], flags["env"]),
        volumes=flags["volume"],
        workdir=flags["workdir"],
        user=flags["user"],
        hostname=flags["hostname"],
        network=flags["network"],
        memory_bytes=flags["memory"],
        cpus=flags["cpus"],
        pids_limit=flags["pids_limit"],
        read_only=flags["read_only"],
        tmpfs=flags["tmpfs"],
        timeout_s=flags["timeout"],
        stop_signal=flags["stop_signal"],
        userns=flags["userns"],
        labels=dict(flags["label"]),
        best_effort=flags["best_effort"],
        with_env=flags["with_env"],
        **security,
    )
