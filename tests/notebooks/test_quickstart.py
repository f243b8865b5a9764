"""The quickstart runs as a newcomer runs it, and stores no outputs in the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from pydock_engine.engine import Engine

SOURCE = Path(__file__).parents[2]
QUICKSTART = SOURCE / "notebooks" / "quickstart.ipynb"


def test_notebook_is_valid_and_holds_no_outputs() -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
def test_demo_executes_every_cell_and_leaves_nothing(engine: Engine) -> None:
    done = subprocess.run(
        [sys.executable, str(SOURCE / "scripts" / "demo.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "hello from" in done.stdout
    assert "read-only means read-only" in done.stdout
    assert "timed out" in done.stdout
    assert "all cells of quickstart.ipynb ran" in done.stdout
    assert engine.containers.list(all=True) == []


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
def test_demo_fails_when_a_cell_fails(engine: Engine, tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("%load_ext pydock_magic", id="a"),
            nbformat.v4.new_code_cell("%container logs nosuch", id="b"),
            nbformat.v4.new_code_cell("print('never')", id="c"),
        ]
    )
    path = tmp_path / "failing.ipynb"
    nbformat.write(notebook, path)
    done = subprocess.run(
        [sys.executable, str(SOURCE / "scripts" / "demo.py"), str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no such container: nosuch" in done.stderr
    assert "never" not in done.stdout.replace("print('never')", "")
