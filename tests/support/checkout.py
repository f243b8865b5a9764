"""A copy of this project's files, for tests that build it or hand it to somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parents[2]


def copy_source(target: Path) -> Path:
    """The files of the checkout in `target`, committed or not, without what git ignores."""
    for name in _names():
        origin = SOURCE / name
        if origin.is_file():
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, place)
    return target


def _names() -> list[str]:
    if not (SOURCE / ".git").exists():  # such a copy itself, or an unpacked archive
        return [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*")]
    listing = ["git", "-c", f"safe.directory={SOURCE}", "ls-files", "-z"]
    listing += ["--cached", "--others", "--exclude-standard"]
    printed = subprocess.run(listing, cwd=SOURCE, capture_output=True, check=True).stdout
    return [os.fsdecode(name) for name in printed.split(b"\0") if name]
