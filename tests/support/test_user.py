"""The users that rootless tests run as, and the copy they work on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import rootless
from tests.support.checkout import SOURCE
from tests.support.user import OrdinaryUser, ensure_user

needs_uidmap = pytest.mark.needs("newuidmap")


def subordinate_ranges(user: OrdinaryUser) -> int:
    files = (Path("/etc/subuid"), Path("/etc/subgid"))
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    return sum(line.startswith(f"{user.name}:") for line in lines)


@pytest.mark.root
@needs_uidmap
def test_one_user_has_a_range_of_ids_and_the_other_has_none() -> None:
    assert subordinate_ranges(ensure_user("pydocktest", subordinate=True)) == 2
    assert subordinate_ranges(ensure_user("pydocksingle", subordinate=False)) == 0


@pytest.mark.root
def test_a_command_runs_as_the_user_in_its_own_folders(short_path: Path) -> None:
    short_path.parent.chmod(0o755)
    short_path.chmod(0o755)
    user = ensure_user("pydocksingle", subordinate=False)
    env = user.environment(short_path)
    script = 'test "$(id -u)" = "$1" && test -w "$HOME" && test -w "$XDG_RUNTIME_DIR"'
    assert user.run(["sh", "-c", script, "sh", str(user.uid)], env=env).returncode == 0


@pytest.mark.root
def test_a_python_that_only_root_can_reach_is_explained(tmp_path: Path) -> None:
    private = tmp_path / "python"
    private.symlink_to(sys.executable)
    tmp_path.chmod(0o700)
    with pytest.raises(SystemExit, match="PYTHON=/usr/bin/python3 make test"):
        rootless.check_python(private)


@pytest.mark.userns
def test_this_pass_runs_as_an_ordinary_user_on_readable_files() -> None:
    assert os.geteuid() != 0
    assert os.access(SOURCE / "engine" / "pydock_engine" / "errors.py", os.R_OK)
