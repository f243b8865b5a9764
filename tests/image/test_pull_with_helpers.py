"""Pulls whose jobs run in real helper processes, at the level of whoever runs the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.engine import Engine
from pydock_engine.image.records import PullProgress
from pydock_engine.testing.random_image import image_of, random_image
from pydock_engine.testing.registry import Fault, TestRegistry

from tests.support.images import entry, folder, tar, whiteout

pytestmark = [pytest.mark.root, pytest.mark.userns]

OWNED = image_of(
    (
        tar([folder("home", uid=0), entry("home/note", data=b"x", uid=1000, gid=1000)]),
        tar([whiteout("home/note"), entry("home/new", uid=5, gid=6)]),
    )
)


def test_an_image_with_many_owners_comes_and_goes(engine: Engine, fake: TestRegistry) -> None:
    reference = engine.images.pull(fake.add(OWNED, "team/owned:1")).reference
    chains = engine.images.get(reference).chain_ids
    note = engine.paths.layer(chains[0]) / "diff" / "home" / "note"
    if engine.spawner.level() == "root":
        assert (note.stat().st_uid, note.stat().st_gid) == (1000, 1000)
    assert note.parent.joinpath("note").lstat().st_size == 1
    engine.images.remove(reference)
    assert list((engine.paths.layers / "sha256").iterdir()) == []
    assert list(engine.paths.layers_ingest.iterdir()) == []


def test_a_failed_job_is_the_same_error_here(engine: Engine, fake: TestRegistry) -> None:
    reference = fake.add(image_of((tar([entry("../escape")]),)), "team/evil:1")
    with pytest.raises(errors.LayerError, match="escape"):
        engine.images.pull(reference)
    assert engine.images.list() == []
    assert list(engine.paths.layers_ingest.iterdir()) == []
    assert list((engine.paths.blobs / "sha256").iterdir()) == []


PULL = """
import sys
from pydock_engine.engine import Engine
Engine().images.pull(sys.argv[1], on_progress=lambda event: print(event.phase, flush=True))
"""


def test_a_client_killed_while_its_layers_are_unpacked_leaves_nothing_for_long(
    engine: Engine, fake: TestRegistry
) -> None:
    """The job may outlive its client by a moment; whatever it left is found by the next pull."""
    made = random_image(layers=2, files=50, file_bytes=200_000)
    reference = fake.add(made, "team/image:1")
    command = [sys.executable, "-c", PULL, reference]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "unpacking\n" in child.stdout
        child.kill()
    assert engine.images.list() == []
    summary = engine.images.pull(reference)
    assert summary.size_bytes == 2 * 50 * 200_000
    engine.images.remove(reference)
    assert list((engine.paths.layers / "sha256").iterdir()) == []


def test_a_killed_job_is_a_clear_error_and_the_next_pull_works(
    engine: Engine, fake: TestRegistry
) -> None:
    """2,000 files take long enough to be still at it when the first of its reports arrives."""
    reference = fake.add(random_image(layers=1, files=2000, file_bytes=100), "team/image:1")

    def kill_the_job(event: PullProgress) -> None:
        if event.phase == "unpacking":
            for pid in children(engine.spawner.welcome().pid):
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(errors.ProtocolError, match="UnpackLayer") as caught:
        engine.images.pull(reference, on_progress=kill_the_job)
    assert caught.value.way_out
    assert engine.images.list() == []
    assert engine.images.pull(reference).layers == 1
    assert list(engine.paths.layers_ingest.iterdir()) == []


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def test_an_interrupt_while_bytes_come_ends_at_once(engine: Engine, fake: TestRegistry) -> None:
    slow = Fault("/blobs/", "wait", keep=100)
    reference = fake.add(random_image(layers=2, file_bytes=50_000), "team/image:1")
    config = next(path for path in fake.blobs if len(fake.blobs[path]) < 2000)
    fake.faults += [Fault(config, "none"), slow]

    def interrupt(event: PullProgress) -> None:
        if event.phase == "downloading":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.images.pull(reference, on_progress=interrupt)
    slow.gate.set()
    assert engine.images.list() == []
    assert list(engine.paths.ingest.iterdir()) == []
