"""The pages in docs/ are true: every Python block is run as a cell, every option is described."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from pydock_engine.cli.grammar import pydock
from pydock_engine.engine import Engine

from .conftest import Cells

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module", autouse=True)
def made_before(request: pytest.FixtureRequest) -> None:
    """The real engine is there before the leak check, unless no test here runs on it."""
    if any(item.get_closest_marker("root") for item in request.session.items):
        request.getfixturevalue("real_engine")


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
@pytest.mark.parametrize("page", ["container.md", "image.md"])
def test_every_example_runs(
    real_cells: Cells, real_engine: Engine, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = BLOCK.findall((DOCS / page).read_text())
    assert len(blocks) >= 8
    for block in blocks:
        done = real_cells.shell.run_cell(block, store_history=True)
        assert done.success, f"{block}\n{capsys.readouterr()}"


def test_every_option_of_run_is_on_the_page() -> None:
    page = (DOCS / "container.md").read_text()
    for option in pydock.commands["run"].params:
        if isinstance(option, click.Option) and "--help" not in option.opts:
            assert any(f"`{name}" in page or f"{name}`" in page for name in option.opts), (
                option.opts
            )


@pytest.mark.parametrize("noun", ["container", "image"])
def test_every_command_is_on_its_page(noun: str) -> None:
    page = (DOCS / f"{noun}.md").read_text()
    group = pydock.commands[noun]
    assert isinstance(group, click.Group)
    for verb in group.commands:
        assert f"%{noun} {verb}" in page


def test_every_setting_is_on_the_page() -> None:
    from pydock_magic.magics import Pydock

    page = (DOCS / "container.md").read_text()
    for name in Pydock.class_own_traits(config=True):
        assert f"`{name}`" in page
