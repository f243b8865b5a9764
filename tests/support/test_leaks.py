"""The leak check sees what it is for: otherwise every other test could leak unnoticed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.leaks import TOKEN, LeakCheck, Snapshot


@pytest.fixture
def check(tmp_path: Path) -> LeakCheck:
    return LeakCheck(os.environ[TOKEN], [tmp_path])


@pytest.fixture
def before(check: LeakCheck) -> Snapshot:
    return check.take()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


def test_nothing_new_is_no_leak(check: LeakCheck, before: Snapshot) -> None:
    assert check.leaks(before, patience_s=0) == []


def test_a_process_of_its_own_session_is_found(
    check: LeakCheck, before: Snapshot, sleeper: subprocess.Popen[bytes]
) -> None:
    (found,) = check.leaks(before, patience_s=0)
    assert f"process {sleeper.pid}" in found


def test_a_daemon_is_found_by_the_folder_it_was_started_for(
    check: LeakCheck, before: Snapshot, tmp_path: Path
) -> None:
    daemon = ["env", "-i", "setsid", "--fork", "sh", "-c", "echo; cat; exit", str(tmp_path)]
    hold, feed = os.pipe()
    said, say = os.pipe()
    subprocess.run(daemon, stdin=hold, stdout=say, check=True)
    os.close(hold)
    os.close(say)
    assert os.read(said, 1) == b"\n"
    found = check.leaks(before, patience_s=0)
    check.clean_up(before)
    assert os.read(said, 1) == b""  # the end: nobody holds the other side any more
    os.close(said)
    os.close(feed)
    assert any(str(tmp_path) in line for line in found)


def test_clean_up_ends_what_was_found(
    check: LeakCheck, before: Snapshot, sleeper: subprocess.Popen[bytes]
) -> None:
    check.clean_up(before)
    assert sleeper.wait() == -9


def test_an_open_descriptor_is_found(check: LeakCheck, before: Snapshot, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w"):
        (found,) = check.leaks(before, patience_s=0)
    assert found.endswith(f"-> {tmp_path}/open")


@pytest.mark.root
def test_a_mount_is_found_and_undone(check: LeakCheck, before: Snapshot, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "leak", str(tmp_path)], check=True)
    (found,) = check.leaks(before, patience_s=0)
    assert found.startswith("mount ")
    assert str(tmp_path) in found
    check.clean_up(before)
    assert not os.path.ismount(tmp_path)


@pytest.mark.root
def test_a_process_with_its_own_environment_is_found_by_its_mounts(
    check: LeakCheck, before: Snapshot, tmp_path: Path
) -> None:
    ready, tell = os.pipe()
    script = f"mount -t tmpfs leak {tmp_path} && echo && exec sleep 1000 >/dev/null"
    orphan = ["env", "-i", "setsid", "--fork", "unshare", "--mount", "sh", "-c", script]
    subprocess.run(orphan, stdout=tell, check=True)
    os.close(tell)
    assert os.read(ready, 1) == b"\n"
    os.close(ready)
    found = check.leaks(before, patience_s=0)
    check.clean_up(before)
    assert len(found) == 1
    assert "sleep 1000" in found[0]
