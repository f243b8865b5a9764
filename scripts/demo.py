"""Executes the quickstart notebook in a fresh kernel and prints what each cell prints.

    demo.py [NOTEBOOK]

Exit status 1 when a cell fails.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

QUICKSTART = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"
CELL_TIMEOUT_S = 300
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Narrator:
    """Prints each cell before it runs and its outputs afterwards."""

    def __init__(self, notebook: Any) -> None:
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self._numbers = {cell.id: number for number, cell in enumerate(code, 1)}
        self._total = len(code)
        self._began = 0.0

    def before(self, cell: Any, **_: Any) -> None:
        self._began = time.monotonic()
        print(f"\n── cell {self._numbers[cell.id]} of {self._total} " + "─" * 60)
        print("\n".join(f"  > {line}" for line in cell.source.splitlines()), flush=True)

    def after(self, cell: Any, **_: Any) -> None:
        for output in cell.outputs:
            for line in _text(output).splitlines():
                print(f"  {line}")
        print(f"  ({time.monotonic() - self._began:.2f} s)", flush=True)


def main(arguments: list[str]) -> int:
    path = Path(arguments[0]) if arguments else QUICKSTART
    notebook = nbformat.read(path, as_version=4)
    narrator = Narrator(notebook)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IPYTHONDIR"] = folder  # no profile of the user's
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_S,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_execute=narrator.before,
            on_cell_executed=narrator.after,
        )
        kernel = client.create_kernel_manager()
        kernel.transport = "ipc"  # sockets in our own folder: nobody else on the machine can listen
        kernel.connection_file = f"{folder}/kernel.json"
        try:
            client.execute()
        except CellExecutionError as error:
            print(f"\na cell of {path.name} failed:\n{_ANSI.sub('', str(error))}", file=sys.stderr)
            return 1
    print(f"\nall cells of {path.name} ran")
    return 0


def _text(output: Any) -> str:
    """What a terminal can show of one output."""
    if output.output_type == "stream":
        return _ANSI.sub("", output.text)
    if output.output_type == "error":
        return _ANSI.sub("", "\n".join(output.traceback))
    return str(output.data.get("text/plain", ""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
