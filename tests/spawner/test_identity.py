"""A spawner of other code, from before an upgrade or of a clone that is gone, is replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydock_engine.engine import Engine
from pydock_engine.spawner.client import Spawner
from pydock_engine.spawner.identity import ENGINE, code_identity

START = """
from pydock_engine.engine import Engine
print(Engine().spawner.welcome().pid)
"""

START_CONTAINER = """
import sys
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine
options = RunOptions(image=sys.argv[1], command=("sleep", "1000"), name="survivor")
print(Engine().containers.run_detached(options).id)
"""


def run_elsewhere(folder: Path, script: str, *arguments: str) -> str:
    """What `script` prints, run by a copy of the engine that is removed afterwards."""
    shutil.copytree(ENGINE, folder / "pydock_engine", ignore=shutil.ignore_patterns("__pycache__"))
    env = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    shutil.rmtree(folder / "pydock_engine")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def is_running(pid: int) -> bool:
    """Whether it is there and more than a zombie that nobody has looked at yet."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_spawner_of_code_that_is_gone_is_replaced(spawner: Spawner, tmp_path: Path) -> None:
    old = int(run_elsewhere(tmp_path, START))
    welcome = spawner.welcome()
    assert welcome.pid != old
    assert welcome.code == code_identity()
    assert not is_running(old)


def test_a_request_is_never_answered_by_other_code(spawner: Spawner, tmp_path: Path) -> None:
    old = int(run_elsewhere(tmp_path, START))
    with spawner.open() as channel:
        assert channel.peer_uid() == os.geteuid()
    assert spawner.welcome().pid != old


def test_a_second_client_of_the_same_code_replaces_nothing(spawner: Spawner) -> None:
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == spawner.welcome().pid


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.network
def test_containers_outlive_the_spawner_that_is_replaced(
    engine: Engine, busybox_reference: str, tmp_path: Path
) -> None:
    engine.images.pull(busybox_reference)
    run_elsewhere(tmp_path, START_CONTAINER, busybox_reference)
    before = Engine().spawner.welcome().pid
    container = engine.containers.get("survivor")
    assert container.status == "running"
    container.remove(force=True)
    assert Engine().spawner.welcome().pid == before
