"""An IPython shell with the extension loaded, on a stand-in engine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from pydock_engine.engine import Engine
from traitlets.config import Config

from pydock_magic.magics import Pydock
from tests.cli.standin import StandInEngine
from tests.conftest import close_engine


class Cells:
    """Runs cells in one shell; `value` gives a cell's value, `error` the exception it raised."""

    image = "busybox"

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.magics: Pydock = shell.magics_manager.registry["Pydock"]

    def run(self, cell: str) -> Any:
        return self.shell.run_cell(cell, store_history=False)

    def value(self, cell: str) -> Any:
        done = self.run(cell)
        done.raise_error()
        return done.result

    def error(self, cell: str) -> BaseException:
        done = self.run(cell)
        assert done.error_in_exec is not None, "the cell did not fail"
        return done.error_in_exec


@pytest.fixture
def shell(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    shell.run_line_magic("load_ext", "pydock_magic")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def cells(shell: InteractiveShell) -> Cells:
    """Cells on the stand-in engine."""
    cells = Cells(shell)
    cells.magics._engine = StandInEngine()
    return cells


@pytest.fixture(scope="module")
def real_engine() -> Iterator[Engine]:
    """A real engine of this module's own, with the default image; its spawner runs from the start.

    Ask for it in a module's autouse fixture: what it holds is there before a test's leak check.
    """
    folder = Path(tempfile.mkdtemp(prefix="pm-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYDOCK_RUN", str(folder / "run"))
        engine = Engine(folder / "root")
    engine.images.ensure_default()
    yield engine
    close_engine(engine)
    engine.database.close()
    shutil.rmtree(folder)


@pytest.fixture
def real_cells(shell: InteractiveShell, real_engine: Engine) -> Iterator[Cells]:
    """Cells on the real engine; containers they leave are removed."""
    cells = Cells(shell)
    cells.magics._engine = real_engine
    yield cells
    for container in real_engine.containers.list(all=True):
        real_engine.containers.remove(container.id, force=True)
