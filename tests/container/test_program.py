"""Which program runs: docker's merge of entrypoint and command, and bodies of cells."""

from __future__ import annotations

import pytest
from pydock_engine.container.options import RunOptions
from pydock_engine.container.program import argv, program_for_body
from pydock_engine.errors import UsageError
from pydock_engine.oci.image import ContainerConfig

BOTH = ContainerConfig(entrypoint=("entry", "-e"), cmd=("cmd", "-c"))


@pytest.mark.parametrize(
    ("entrypoint", "command", "expected"),
    [
        (None, (), ("entry", "-e", "cmd", "-c")),
        (None, ("a", "b"), ("entry", "-e", "a", "b")),
        (("x",), (), ("x",)),
        (("x",), ("a",), ("x", "a")),
        (("",), ("a",), ("a",)),
        ((), ("a",), ("a",)),
    ],
)
def test_the_merge_is_dockers(
    entrypoint: tuple[str, ...] | None, command: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    options = RunOptions(image="i", entrypoint=entrypoint, command=command)
    assert argv(options, BOTH) == expected


@pytest.mark.parametrize("entrypoint", [None, ("",)])
def test_nothing_to_run_is_an_error_that_names_the_image(
    entrypoint: tuple[str, ...] | None,
) -> None:
    config = ContainerConfig(cmd=("x",)) if entrypoint else ContainerConfig()
    with pytest.raises(UsageError, match="the image i names none"):
        argv(RunOptions(image="i", entrypoint=entrypoint), config)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ContainerConfig(), ("sh",)),
        (ContainerConfig(cmd=("bash",)), ("sh",)),
        (ContainerConfig(cmd=("python3",)), ("python3", "-")),
        (ContainerConfig(cmd=("/usr/bin/python3.12", "-q")), ("/usr/bin/python3.12", "-")),
        (ContainerConfig(entrypoint=("python",)), ("python", "-")),
        (ContainerConfig(cmd=("app",), env=("PYTHON_VERSION=3.12.1",)), ("python3", "-")),
        (ContainerConfig(cmd=("pythonista",)), ("sh",)),
    ],
)
def test_the_images_kind_names_the_interpreter(
    config: ContainerConfig, expected: tuple[str, ...]
) -> None:
    assert program_for_body(b"x", config) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"#!/bin/bash\nx", ("/bin/bash",)),
        (b"#! /usr/bin/env python3 -u \nx", ("/usr/bin/env", "python3", "-u")),
        (b"#!/opt/'my tool' -x", ("/opt/my tool", "-x")),
        (b"# !/bin/bash", ("python3", "-")),
        (b" #!/bin/bash", ("python3", "-")),
        (b"", ("python3", "-")),
    ],
)
def test_a_shebang_wins_over_the_image(body: bytes, expected: tuple[str, ...]) -> None:
    assert program_for_body(body, ContainerConfig(cmd=("python3",))) == expected


def test_a_given_interpreter_wins_over_all() -> None:
    assert program_for_body(b"#!/bin/sh\n", BOTH, "perl -w") == ("perl", "-w")


@pytest.mark.parametrize("body", [b"#!\nx", b"#!  \n", b"#!/bin/sh 'open\n"])
def test_a_broken_shebang_is_refused(body: bytes) -> None:
    with pytest.raises(UsageError, match="interpreter"):
        program_for_body(body, BOTH)
