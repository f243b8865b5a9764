"""Which Debian package a program comes from: one list, scripts/system-packages.txt."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

LIST = Path(__file__).parents[2] / "scripts" / "system-packages.txt"
SEARCH_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"


def package_of(program: str) -> str:
    """The package that brings `program`; the program's own name when the list has none."""
    for line in LIST.read_text().splitlines():
        fields = line.split()
        if not line.startswith("#") and fields[2] == program:
            return fields[1]
    return program


def find_program(program: str) -> str | None:
    """The path of `program`, looked for in the system folders too; None when it is missing."""
    return shutil.which(program, path=SEARCH_PATH)


def missing_reason(*programs: str) -> str:
    """Why a test that runs `programs` cannot; empty when they are all here."""
    missing = [name for name in programs if find_program(name) is None]
    if not missing:
        return ""
    packages = " ".join(sorted({package_of(name) for name in missing}))
    return f"needs {', '.join(missing)}; as root: apt-get install {packages}"


def program_or_skip(program: str) -> str:
    """The path of `program`, or a skip that names the package."""
    path = find_program(program)
    if path is None:
        pytest.skip(missing_reason(program))
    return path
