"""A built wheel holds everything and runs the quickstart in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.checkout import SOURCE, copy_source

UNREACHABLE = ("NewConnectionError", "Temporary failure in name resolution", "ConnectTimeoutError")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_source(tmp_path_factory.mktemp("source") / "pydock-magic")


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with the setuptools that is installed here."""
    target = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(target), "."]
    built = subprocess.run(
        command, cwd=source, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = target.glob("pydock_magic-*.whl")
    return made


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and what it asks for."""
    place = tmp_path_factory.mktemp("clean") / "v"
    venv.create(place, with_pip=True)
    command = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    command += ["--disable-pip-version-check", f"{wheel}[demo]"]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("needs the Python packages of setup.cfg, and PyPI cannot be reached")
    assert done.returncode == 0, done.stderr
    return place / "bin"


def clean_environment() -> dict[str, str]:
    """Ours without the paths that let this checkout be imported."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_both_packages(source: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(root))
        for root, package in ((source, "pydock_magic"), (source / "engine", "pydock_engine"))
        for path in (root / package).rglob("*")
        if path.is_file()
    }
    assert packed == expected


@pytest.mark.slow
def test_the_shell_command_works_in_a_clean_environment(clean: Path, tmp_path: Path) -> None:
    command = [str(clean / "pydock"), "--help"]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert "Usage: pydock" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_the_quickstart_runs_in_a_clean_environment(clean: Path, tmp_path: Path) -> None:
    command = [str(clean / "python"), str(SOURCE / "scripts" / "demo.py")]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_clean_environment_imports_the_installed_package(clean: Path, tmp_path: Path) -> None:
    script = "import pydock_engine, pydock_magic; print(pydock_engine.__file__)"
    command = [str(clean / "python"), "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(clean.parent / "lib"))
