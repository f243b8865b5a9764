"""Fixtures of the container tests: an engine that has the small image, and short ways to run it."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from pydock_engine.container.container import Container
from pydock_engine.container.options import RunOptions
from pydock_engine.container.records import RunResult
from pydock_engine.engine import Engine

PATIENCE_S = 120


@pytest.fixture(autouse=True)
def no_test_hangs() -> Iterator[None]:
    """A test that waits for what never comes fails with a traceback instead."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"the test took more than {PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Run(Protocol):
    def __call__(self, script: str, **more: Any) -> RunResult: ...


RUN_ARGUMENTS = ("body", "interpreter", "stdin", "on_output", "capture_bytes")


@pytest.fixture
def busybox(engine: Engine, busybox_reference: str) -> Engine:
    """The test's engine, with the small image in it."""
    engine.images.pull(busybox_reference)
    return engine


@pytest.fixture
def options(busybox_reference: str) -> Callable[..., RunOptions]:
    """`RunOptions` of the small image; `script` runs it in a shell."""

    def make(script: str | None = None, **more: Any) -> RunOptions:
        command = ("sh", "-c", script) if script is not None else ()
        return RunOptions(**{"image": busybox_reference, "command": command, **more})

    return make


@pytest.fixture
def sh(busybox: Engine, options: Callable[..., RunOptions]) -> Run:
    """Runs a shell script in the foreground; keywords are options, or arguments of `run`."""

    def run(script: str, **more: Any) -> RunResult:
        arguments = {name: more.pop(name) for name in RUN_ARGUMENTS if name in more}
        return busybox.containers.run(options(script, **more), **arguments)

    return run


@pytest.fixture
def detached(busybox: Engine, options: Callable[..., RunOptions]) -> Callable[..., Container]:
    """Starts a shell script in a container of its own."""
    return functools.partial(_start, busybox, options)


def _start(
    engine: Engine, options: Callable[..., RunOptions], script: str, **more: Any
) -> Container:
    return engine.containers.run_detached(options(script, **more))


def wait_for_output(container: Container, text: bytes) -> None:
    """Returns once the container has written `text`; fails when it ends without."""
    seen = b""
    for entry in container.output(follow=True):
        seen = seen[-200:] + entry.data
        if text in seen:
            return
    raise AssertionError(f"{text!r} never came: {seen!r}, {container.state}")
