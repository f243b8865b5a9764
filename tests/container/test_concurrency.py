"""Several processes on one store at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from pydock_engine import errors
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine
from pydock_engine.monitor.lock import lock_container

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network]

WORKER = """
import sys
from pydock_engine import errors
from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine

engine = Engine()
image, number = sys.argv[1:]
for turn in range(12):
    result = engine.containers.run(
        RunOptions(image=image, command=("sh", "-c", f"echo {number}.{turn}"), rm=turn % 2 == 0)
    )
    assert result.stdout == f"{number}.{turn}\\n", result
    engine.containers.summaries(all=True)
    try:
        shared = engine.containers.create(RunOptions(image=image, command=("true",), name="shared"))
        shared.start()
        shared.remove(force=True)
    except (errors.Conflict, errors.NotFound):
        pass
    try:
        engine.containers.remove("shared", force=True)
    except (errors.Conflict, errors.NotFound):
        pass
    if turn % 2:
        engine.containers.remove(result.name)
print("ok")
"""


def test_a_new_folder_taken_for_a_leftover_is_made_again(
    busybox: Engine, busybox_reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = busybox.paths.container("ab" * 32)
    own.base.mkdir(mode=0o700, parents=True)
    lock = lock_container(own, "ab" * 32)

    def remove() -> None:
        own.base.rmdir()
        os.close(lock)

    monkeypatch.setattr("secrets.token_hex", lambda _: "ab" * 32)
    sweeper = threading.Timer(0.3, remove)
    sweeper.start()
    container = busybox.containers.create(RunOptions(image=busybox_reference, command=("true",)))
    sweeper.join()
    assert container.id == "ab" * 32
    assert (own.base / "plan.json").exists()


def test_many_processes_create_run_list_and_remove(busybox: Engine, busybox_reference: str) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, busybox_reference, str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    told = [worker.communicate() for worker in workers]
    assert [out for out, _ in told] == ["ok\n"] * 4, told
    for container in busybox.containers.list(all=True):
        assert container.name == "shared"
        container.remove(force=True)


def test_only_one_of_many_starts_wins(busybox: Engine, options: Callable[..., RunOptions]) -> None:
    container = busybox.containers.create(options("sleep 1000"))
    outcomes: list[str] = []

    def start() -> None:
        try:
            busybox.containers.get(container.id).start()
            outcomes.append("started")
        except errors.Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["started"]
    assert container.status == "running"


def test_only_one_of_many_gets_a_name(busybox: Engine, options: Callable[..., RunOptions]) -> None:
    made: list[str] = []
    refused: list[errors.Conflict] = []

    def create() -> None:
        try:
            made.append(busybox.containers.create(options("true", name="one")).id)
        except errors.Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    assert all(error.facts["id"] == made[0] for error in refused)
    assert [c.id for c in busybox.containers.list(all=True)] == made
