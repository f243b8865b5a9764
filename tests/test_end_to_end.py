"""From a real registry to a program's output: the same bodies as root and as ordinary users."""

from __future__ import annotations

import os

import pytest
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine

from tests.support.images import debian_image
from tests.support.registry import Registry

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network]


def test_a_pulled_image_runs(engine: Engine, busybox_reference: str) -> None:
    engine.images.pull(busybox_reference)
    options = RunOptions(image=busybox_reference, command=("sh", "-c", "/opt/hello; exit 3"))
    result = engine.containers.run(options)
    assert (result.exit_code, result.stdout) == (3, "hello from the second layer\n")


def test_layers_above_add_and_delete(engine: Engine, busybox_reference: str) -> None:
    engine.images.pull(busybox_reference)
    script = "cat /etc/motd; test ! -e /etc/removed && stat -c %u:%g /home/app"
    options = RunOptions(image=busybox_reference, command=("sh", "-c", script), rm=True)
    expected = "0:0" if engine.spawner.level() == "rootless-single" else "1000:1000"
    assert engine.containers.run(options).stdout == f"busybox of the tests\n{expected}\n"
    assert engine.containers.list(all=True) == []


def test_the_level_is_the_best_this_user_can_have(engine: Engine) -> None:
    user = {0: "root"}.get(os.geteuid(), os.environ.get("USER", ""))
    expected = {"root": "root", "pydocktest": "rootless", "pydocksingle": "rootless-single"}
    if user not in expected:
        pytest.skip(f"what {user} may have depends on the machine")
    assert engine.spawner.level() == expected[user]


@pytest.mark.slow
@pytest.mark.needs("debootstrap")
def test_a_real_debian_runs_its_python(engine: Engine, registry: Registry) -> None:
    try:
        image = debian_image()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    reference = registry.push(image, "team/python:3")
    summary = engine.images.pull(reference)
    assert summary.layers == 2
    script = "import sqlite3, ssl; print(sum(range(10)))"
    options = RunOptions(image=reference, command=("python3", "-c", script), rm=True)
    assert engine.containers.run(options).stdout == "45\n"
