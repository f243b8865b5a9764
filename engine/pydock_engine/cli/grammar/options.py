"""Flags that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Decorator = Callable[[Decorated], Decorated]


def format_option(command: Decorated) -> Decorated:
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json"]),
        default="table",
        help="How a shell prints it: a table, or a JSON array.",
        expose_value=True,
    )(command)


def quiet_ids(command: Decorated) -> Decorated:
    return click.option("-q", "--quiet", is_flag=True, help="Only the ids.")(command)


def no_trunc(command: Decorated) -> Decorated:
    return click.option(
        "--no-trunc", is_flag=True, help="Show ids and commands in full in a shell's table."
    )(command)


def platform_option(command: Decorated) -> Decorated:
    return click.option(
        "--platform", metavar="OS/ARCH[/VARIANT]", help="Which variant of the image, linux/arm64."
    )(command)
