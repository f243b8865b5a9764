"""Loading the extension is cheap: a list of what it may import, and no process."""

from __future__ import annotations

import json
import subprocess
import sys

ALLOWED = {"pydock_magic", "IPython", "traitlets"}
"""Besides the standard library."""

_LOAD = """
import json, sys, os
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.hist_file = ":memory:"
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
before = set(sys.modules)
shell.run_line_magic("load_ext", "pydock_magic")
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
{more}
children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
print(json.dumps([sorted(loaded), sorted({n.partition(".")[0] for n in sys.modules}), children]))
"""


def _load(more: str = "") -> tuple[set[str], set[str], list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _LOAD.replace("{more}", more)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, everything, children = json.loads(done.stdout.splitlines()[-1])
    return set(loaded), set(everything), children


def test_load_ext_imports_nothing_but_the_magics_and_starts_no_process() -> None:
    loaded, everything, children = _load()
    assert loaded - set(sys.stdlib_module_names) <= ALLOWED
    assert not {"pandas", "pydock_engine", "click", "msgspec"} & everything
    assert children == []


def test_help_needs_neither_pandas_nor_the_network() -> None:
    _, everything, children = _load("shell.run_line_magic('image', 'pull --help')")
    assert not {"pandas", "pyroute2", "ipywidgets", "urllib3", "rich"} & everything
    assert children == []


def test_the_shell_command_imports_little() -> None:
    script = (
        "import sys, pydock_engine.cli.shell as s; s.run_shell(['--version'])\n"
        "print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"rich", "pandas", "IPython", "urllib3", "sqlite3"} & set(done.stdout.split())
