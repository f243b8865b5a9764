"""What `%load_ext pydock_magic` adds to the start of IPython, and what the first command adds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Comparison, Contender, compare

SOURCE = Path(__file__).parents[1]

_START = """
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
"""
_LOAD = 'shell.run_line_magic("load_ext", "pydock_magic")\n'
_FIRST = 'shell.run_line_magic("image", "ls --format json")\n'
_FRAME = 'shell.run_line_magic("image", "ls")\n'


def measure() -> list[Comparison]:
    with tempfile.TemporaryDirectory() as folder:

        def ipython(script: str) -> None:
            places = [str(SOURCE / "engine"), str(SOURCE)]
            env = {**os.environ, "PYDOCK_ROOT": folder, "PYTHONPATH": os.pathsep.join(places)}
            subprocess.run([sys.executable, "-c", script], check=True, env=env)

        contenders = [
            Contender("IPython alone", lambda: ipython(_START)),
            Contender("with %load_ext pydock_magic", lambda: ipython(_START + _LOAD)),
            Contender("and %image ls as JSON", lambda: ipython(_START + _LOAD + _FIRST)),
            Contender("and %image ls as a DataFrame", lambda: ipython(_START + _LOAD + _FRAME)),
        ]
        return [compare("starting IPython", contenders, repeats=9)]
