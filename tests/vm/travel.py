"""The disks made for each run: the checkout on its way in, the results on their way out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.support.checkout import copy_source
from tests.vm.selection import WANTED, Pass

RESULTS_BYTES = 64 << 20


def write_checkout(disk: Path, passes: list[Pass]) -> None:
    """The files of the checkout, committed or not, compiled, and what is wanted of them."""
    with tempfile.TemporaryDirectory() as folder:
        source = copy_source(Path(folder, "source"))
        wanted = json.dumps([dataclasses.astuple(one) for one in passes])
        (source / WANTED).write_text(wanted)
        # Compiling is slow in there; where our Python is another version, this is in vain.
        compiling = [sys.executable, "-m", "compileall", "-q", "engine", "tests"]
        subprocess.run(compiling, cwd=source, check=True)
        packing = ["tar", "--create", "--file", str(disk), "--directory", folder, "source"]
        subprocess.run(packing, check=True)


def make_results(disk: Path) -> None:
    """An empty disk for the results (a sparse file)."""
    with disk.open("wb") as output:
        output.truncate(RESULTS_BYTES)


def read_results(disk: Path, target: Path) -> None:
    """Unpacks what the machine wrote to `disk` into `target`; nothing when it wrote nothing."""
    # Filters came with 3.11.4; Debian 12 has an older Python.
    safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with contextlib.suppress(tarfile.ReadError), tarfile.open(disk) as archive:
        archive.extractall(target, **safely)
