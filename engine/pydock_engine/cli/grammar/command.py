"""Commands and groups as this grammar wants them: they answer instead of printing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import mistakes
from .front import Reply


class TextWanted(Exception):
    """`--help` or `--version` was said; not an error, it carries the text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Command(click.Command):
    """A leaf of the grammar. `invoke` gives a `Reply` with what the callback returned.

    `topic` is its full name below the program (`image ls`), `examples` are lines that work as they
    stand after `pydock ` or `%`.
    """

    def __init__(self, *args: Any, topic: str, examples: tuple[str, ...], **kwargs: Any) -> None:
        settings = kwargs.setdefault("context_settings", {})
        settings.setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*args, **kwargs)
        self.topic = topic
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return parse_args(super().parse_args, ctx, args)

    def invoke(self, ctx: click.Context) -> Reply:
        return Reply(topic=self.topic, value=super().invoke(ctx), options=dict(ctx.params))

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return help_option(self, ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                formatter.write_text(in_dialect(example, ctx))


class Group(click.Group):
    """A noun: its verbs, docker's other names for them, and the habits it corrects.

    `aliases` maps a name that works to the verb it means; `habits` a name that does not work to
    the line that was meant.
    """

    def __init__(
        self,
        *args: Any,
        aliases: dict[str, str] | None = None,
        habits: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        settings = kwargs.setdefault("context_settings", {})
        settings.setdefault("help_option_names", ["-h", "--help"])
        kwargs["no_args_is_help"] = False  # parse_args below answers with the help
        super().__init__(*args, **kwargs)
        self.aliases = aliases or {}
        self.habits = habits or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            raise TextWanted(ctx.get_help())
        return parse_args(super().parse_args, ctx, args)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, self.aliases.get(name, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            habit = self.habits.get(name)
            meant = in_dialect(habit, ctx) if habit else ""
            raise mistakes.unknown_command(name, ctx.command_path, list(self.commands), meant)
        return name, command, args[1:]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return help_option(self, ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text(f"{ctx.command_path} COMMAND --help tells about one of them.")


def parse_args(
    parse: Callable[[click.Context, list[str]], list[str]], ctx: click.Context, args: list[str]
) -> list[str]:
    """`parse`, after a look for `-name`; its complaints know which command they are about."""
    mistakes.refuse_single_dash(ctx, args)
    try:
        return parse(ctx, args)
    except click.UsageError as error:
        error.ctx = error.ctx or ctx  # click's parser raises BadOptionUsage without one
        raise


def help_option(command: click.Command, ctx: click.Context) -> click.Option | None:
    """`--help` that raises `TextWanted`, so that a cell can show the text its own way."""

    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            raise TextWanted(ctx.get_help())

    return click.Option(
        command.get_help_option_names(ctx),
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show this text.",
    )


def in_dialect(line: str, ctx: click.Context) -> str:
    """`image ls` as this front says it: `%image ls` in a cell, `pydock image ls` in a shell."""
    program = ctx.find_root().info_name or "pydock"
    return f"%{line}" if program.startswith("%") else f"{program} {line}"
