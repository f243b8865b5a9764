"""What can be said, what it means, and how a mistake is answered."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from pydock_engine.cli.grammar import Front, pydock, run_line
from pydock_engine.cli.grammar.command import Command
from pydock_engine.container.options import BindMount, RunOptions
from pydock_engine.errors import ImageNotFound, PydockError, Unsupported, UsageError

from .standin import StandInEngine


def say(line: str, **front: Any) -> Any:
    stand_in = StandInEngine()
    given = Front(open_engine=lambda root: stand_in, **front)
    return run_line(pydock, shlex.split(line), given, "pydock"), stand_in


def options(line: str) -> RunOptions:
    _, engine = say(f"run {line}")
    return engine.containers.seen[-1]


def refused(line: str) -> PydockError:
    with pytest.raises(PydockError) as caught:
        say(line)
    return caught.value


def leaves(group: click.Group, path: str = "") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += leaves(command, f"{path}{name} ")
        else:
            found.append((path + name, command))
    return found


def test_run_flags_become_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "env").write_text("A=file\nB=file\n")
    said = options(
        "--name web --rm -e A=1 --env-file env -v ./data:/data:ro -w /data -u 1000:1000"
        " --entrypoint '' -h box --net host -m 512m --cpus 1.5 --pids-limit 64 --read-only"
        " --tmpfs /tmp:size=64m --timeout 2m --stop-signal INT --userns host -l k=v"
        " --security-opt no-new-privileges=false --best-effort busybox true"
    )
    assert said == RunOptions(
        image="busybox:latest",
        command=("true",),
        entrypoint=(),
        name="web",
        rm=True,
        env=("A=1", "B=file"),
        volumes=(BindMount(source=f"{tmp_path}/data", target="/data", read_only=True),),
        workdir="/data",
        user="1000:1000",
        hostname="box",
        network="host",
        memory_bytes=512 << 20,
        cpus=1.5,
        pids_limit=64,
        read_only=True,
        tmpfs=("/tmp:size=64m",),
        timeout_s=120.0,
        stop_signal="INT",
        userns="host",
        no_new_privileges=False,
        labels={"k": "v"},
        best_effort=True,
    )


def test_defaults_say_nothing() -> None:
    assert options("busybox true") == RunOptions(image="busybox:latest", command=("true",))


def test_everything_after_the_image_is_the_programs() -> None:
    said = options("--rm busybox echo --rm -name --help -e x")
    assert said.command == ("echo", "--rm", "-name", "--help", "-e", "x")


def test_double_dash_ends_the_flags() -> None:
    assert options("--rm -- busybox echo").command == ("echo",)


@pytest.mark.parametrize(
    ("line", "message", "way_out"),
    [
        ("run --nam x b", "pydock run: unknown flag --nam", "did you mean --name?"),
        ("run --volum /a:/b b", "pydock run: unknown flag --volum", "did you mean --volume?"),
        ("run -name x b", "pydock run: unknown flag -name", "did you mean --name?"),
        ("run -detach b", "pydock run: unknown flag -detach", "did you mean --detach?"),
        ("run -env=A=1 b", "pydock run: unknown flag -env", "did you mean --env?"),
        ("run -rm b", "pydock run: unknown flag -rm", "did you mean --rm?"),
        ("ps -all", "pydock ps: unknown flag -all", "did you mean --all?"),
        ("run -m 5q b", "--memory: '5q' is not a size", "write it like 512m or 2g"),
        ("run --timeout 0 b", "--timeout: '0' is out of range", "a duration is above zero"),
        ("run -v x b", "--volume: 'x' is not a volume", "write SOURCE:TARGET"),
        ("run -e =x b", "'=x' is not an environment variable", "write NAME=value"),
        ("run --env-file /nosuch b", "/nosuch: no such file or directory", "an env file has"),
        (
            "run --network bridge b",
            "--network: 'bridge' is not one of 'none', 'host'",
            "pydock run",
        ),
        ("run --security-opt seccomp=x b", "--security-opt: seccomp=x: no such file", "use no-"),
        ("run -h 'a b' b", "--hostname: 'a b' is not a host name", "use letters"),
        ("run -h -a b", "--hostname: '-a' is not a host name", "use letters"),
        ("run local/python:2.7", "local/python:2.7 is not here", "leave the image out"),
        ("run --stop-signal FOO b", "--stop-signal: invalid signal: FOO", "for example"),
        ("run --env", "pydock run: option '--env' requires an argument", "pydock run --help"),
        ("kill -s FOO x", "--signal: invalid signal: FOO", "for example"),
        ("logs -n x y", "--tail: 'x' is not a number of lines", "write it like 100"),
        ("imges", "pydock: unknown command imges", "did you mean pydock images?"),
        ("image histroy x", "pydock image: unknown command histroy", "did you mean pydock image"),
        ("container images", "pydock container: unknown command images", "did you mean pydock im"),
        ("rmi", "pydock rmi needs IMAGE", "pydock rmi --help"),
        ("pull a b", "pydock pull: got unexpected extra argument (b)", "pydock pull --help"),
        ("images --format xml", "--format: 'xml' is not one of 'table', 'json'", "pydock images"),
    ],
)
def test_mistakes_name_the_flag_and_the_way_out(line: str, message: str, way_out: str) -> None:
    error = refused(line)
    assert isinstance(error, UsageError | ImageNotFound)
    assert message in error.message
    assert way_out in error.way_out


@pytest.mark.parametrize(
    ("line", "flag"),
    [("run -it b", "-t"), ("run -p 80:80 b", "-p"), ("run --restart always b", "--restart")],
)
def test_dockers_flags_that_are_not_there_yet_are_said_so(line: str, flag: str) -> None:
    error = refused(line)
    assert isinstance(error, Unsupported)
    assert error.way_out == f"leave out {flag}"


def test_a_value_that_looks_like_a_flag_is_a_value() -> None:
    assert options("-w -name --name x busybox true").workdir == "-name"


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("ps -a -q", "container ls --all --quiet"),
        ("images -q", "image ls --quiet"),
        ("history busybox", "image history busybox"),
        ("rmi busybox", "image rm busybox"),
        ("container ps -a", "container ls -a"),
        ("image list", "image ls"),
        ("image remove busybox", "image rm busybox"),
        ("version", "system version"),
    ],
)
def test_dockers_short_names_mean_the_same(short: str, long: str) -> None:
    one, other = say(short)[0], say(long)[0]
    assert (one.topic, one.value) == (other.topic, other.value)


def test_inspect_finds_images_and_containers() -> None:
    assert say("inspect busybox")[0].value[0]["RepoTags"] == ["busybox:latest"]
    assert "no container and no image" in refused("inspect nosuch").message
    assert "no such container" in refused("inspect --type container busybox").message


def test_a_wrong_name_among_right_ones_changes_nothing() -> None:
    stand_in = StandInEngine()
    front = Front(open_engine=lambda root: stand_in)
    run_line(pydock, ["run", "-d", "--name", "web", "busybox", "true"], front, "pydock")
    with pytest.raises(PydockError):
        run_line(pydock, ["stop", "web", "nosuch"], front, "pydock")
    assert stand_in.containers.summaries()[0].status == "running"


@pytest.mark.parametrize(("path", "command"), leaves(pydock), ids=lambda value: str(value))
def test_every_command_has_help_with_an_example_that_parses(
    path: str, command: click.Command
) -> None:
    reply, _ = say(f"{path} --help")
    assert reply.topic == "text"
    assert f"Usage: pydock {path}" in reply.value
    assert "Example" in reply.value
    assert isinstance(command, Command)
    assert command.help
    for example in command.examples:
        words = shlex.split(example)
        context = pydock.make_context("pydock", list(words), obj=Front())
        name, found, rest = pydock.resolve_command(context, words)
        assert found is not None
        if isinstance(found, click.Group):
            found.make_context(name, rest, parent=context)
        else:
            found.make_context(name, rest, parent=context, resilient_parsing=False)


@pytest.mark.parametrize("noun", ["image", "container", "system"])
def test_a_noun_alone_shows_its_help(noun: str) -> None:
    assert say(noun)[0].value.startswith(f"Usage: pydock {noun}")


def test_every_flag_is_explained() -> None:
    for path, command in leaves(pydock):
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, f"{path} {param.opts}"


def test_root_flag_chooses_the_store() -> None:
    seen: list[str | None] = []

    def open_engine(root: str | None) -> Any:
        seen.append(root)
        return StandInEngine()

    front = Front(open_engine=open_engine)
    run_line(pydock, ["--root", "/elsewhere", "images"], front, "pydock")
    assert seen == ["/elsewhere"]


def test_interrupt_passes_through() -> None:
    def interrupted(root: str | None) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_line(pydock, ["images"], Front(open_engine=interrupted), "pydock")
