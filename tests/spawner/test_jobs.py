"""Jobs: what they may touch, how they fail, what they report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.paths import Paths
from pydock_engine.protocol.channel import Channel
from pydock_engine.protocol.messages import (
    CommitLayer,
    JobDone,
    Progress,
    RemoveTrees,
    UnpackLayer,
)
from pydock_engine.spawner import jobs
from pydock_engine.spawner.client import Spawner


def test_a_tree_of_the_store_is_removed(spawner: Spawner, paths: Paths) -> None:
    tree = paths.containers / "c"
    (tree / "a" / "b").mkdir(parents=True)
    spawner.run_job(RemoveTrees(paths=(str(tree), str(paths.containers / "missing"))))
    assert not tree.exists()
    assert paths.containers.exists()


def test_nothing_outside_the_store_is_removed(
    spawner: Spawner, paths: Paths, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    paths.containers.mkdir(parents=True)
    (paths.containers / "link").symlink_to(tmp_path)
    climbing = f"{paths.containers}/../../{os.path.relpath(victim, paths.root.parent)}"
    for path in (
        str(victim),
        str(paths.root),
        climbing,
        str(paths.containers / "link" / "victim"),
        "relative",
        f"{paths.root}/containers/..",
    ):
        with pytest.raises(errors.UsageError, match="refusing"):
            spawner.run_job(RemoveTrees(paths=(path,)))
    assert victim.exists()
    assert paths.containers.exists()


def test_layers_go_into_the_stores_layers_only(spawner: Spawner, tmp_path: Path) -> None:
    target = str(tmp_path / "x")
    with pytest.raises(errors.UsageError, match="not below"):
        spawner.run_job(UnpackLayer(media_type="m", diff_id="d", target=target, blob="b"))
    with pytest.raises(errors.UsageError, match="not below"):
        spawner.run_job(CommitLayer(source=target, destination=target))


def test_an_error_comes_back_as_its_own_class(spawner: Spawner, paths: Paths) -> None:
    target = paths.layers_ingest / "new"
    target.parent.mkdir(parents=True)
    with pytest.raises(errors.PydockError) as caught:
        spawner.run_job(
            UnpackLayer(
                media_type="application/vnd.oci.image.layer.v1.tar",
                diff_id="sha256:" + "0" * 64,
                target=str(target),
                blob=str(paths.root / "nothing"),
            )
        )
    assert type(caught.value) is not errors.ProtocolError


def test_faults_of_our_own_are_told_in_one_line() -> None:
    told = jobs.unexpected(ValueError("first\nsecond"))
    assert (told.error, told.message) == (
        "ProtocolError",
        "a helper process failed: ValueError: first",
    )
    assert "spawner.log" in told.way_out


def test_a_full_disk_is_told_as_such() -> None:
    error = jobs.as_pydock_error(OSError(28, "No space left on device", "/store/x"))
    assert isinstance(error, errors.DiskFull)
    assert "/store/x" in error.message


def test_any_failure_of_a_job_is_answered(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("inside")

    monkeypatch.setattr(jobs, "remove_trees", fail)
    ours, theirs = Channel.pair()
    with ours, theirs:
        request = RemoveTrees(paths=(str(paths.root / "x"),))
        jobs.run_job(theirs, request, [], paths, "root")
        with pytest.raises(errors.ProtocolError, match="KeyError"):
            ours.expect(JobDone)


def test_progress_is_rate_limited_and_a_new_note_is_not() -> None:
    ours, theirs = Channel.pair()
    with ours, theirs:
        report = jobs._Reporter(theirs)
        for number in range(1000):
            report(number, 1000, "same")
        report(0, 10, "other")
        theirs.close()
        seen = []
        while (message := ours.receive()) is not None:
            assert isinstance(message, Progress)
            seen.append(message)
    assert len(seen) < 20
    assert [seen[0].note, seen[-1].note] == ["same", "other"]


def test_a_client_that_hung_up_ends_the_job_at_its_next_report() -> None:
    ours, theirs = Channel.pair()
    with theirs:
        ours.close()
        with pytest.raises(BrokenPipeError):
            jobs._Reporter(theirs)(1, 2, "x")
