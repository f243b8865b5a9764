"""What a container's process finds around it, and how it ends."""

from __future__ import annotations

import os
import secrets
import select
import signal

import pytest
from pydock_engine.runtime.cgroups.group import find_group

from tests.runtime.lab import Box

pytestmark = [pytest.mark.root, pytest.mark.userns]

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


def test_every_namespace_is_its_own(box: Box) -> None:
    inside = box.sh("for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done")
    outside = [os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES]
    assert len(inside.split()) == len(NAMESPACES)
    assert not set(inside.split()) & set(outside)


def test_program_is_process_1_and_sees_no_other(box: Box) -> None:
    assert box.sh("echo $$; ls -d /proc/[0-9]*").split() == ["1", "/proc/1"]


def test_exit_code_is_the_programs(box: Box) -> None:
    assert box.run("sh", "-c", "exit 37").exit_code == 37


def test_signal_ends_it_and_is_told(box: Box) -> None:
    script = "trap 'exit 5' TERM; kill -TERM 1; sleep 10"
    assert box.run("sh", "-c", script).exit_code == 5
    assert box.run("sleep", "100", signal=signal.SIGKILL).exit_code == 128 + signal.SIGKILL


def test_streams_are_kept_apart(box: Box) -> None:
    report = box.run("sh", "-c", "cat; echo err >&2", stdin="from stdin")
    assert (report.stdout, report.stderr) == ("from stdin", "err\n")


def test_streams_can_be_opened_again_by_any_user(box: Box) -> None:
    assert box.sh("echo one > /dev/stdout; echo two > /proc/self/fd/1") == "one\ntwo\n"
    report = box.run("sh", "-c", "echo three > /dev/stderr", user="app")
    if report.level == "rootless-single":
        assert (report.error, "id 1000 does not exist" in report.message) == ("Unsupported", True)
    else:
        assert report.stderr == "three\n"


def test_hostname_is_the_short_id_or_what_was_asked_for(box: Box) -> None:
    identity = "ab" * 32
    assert box.sh("hostname; cat /etc/hostname", container_id=identity).split() == ["ab" * 6] * 2
    assert box.sh("hostname", hostname="moon") == "moon\n"


def test_environment_is_dockers_then_the_images_then_the_options(box: Box) -> None:
    box.config = type(box.config)(env=("A=image", "B=image", "PATH=/bin"))
    shown = box.sh("env", env=("B=option", "C=with=equals"), hostname="h").splitlines()
    expected = ["PATH=/bin", "HOSTNAME=h", "A=image", "B=option", "C=with=equals", "HOME=/root"]
    assert set(shown) - {"SHLVL=1", "PWD=/"} == set(expected)


def test_working_directory_is_made_when_missing(box: Box) -> None:
    assert box.sh("pwd", workdir="/made/up") == "/made/up\n"
    box.config = type(box.config)(working_dir="/tmp")
    assert box.sh("pwd") == "/tmp\n"


def test_no_descriptor_but_the_three_is_open(box: Box) -> None:
    # 3 is the folder that ls itself is reading
    assert box.sh("ls /proc/self/fd").split() == ["0", "1", "2", "3"]


def test_only_loopback_and_it_is_up(box: Box) -> None:
    lines = box.sh("ip -o link").splitlines()
    assert len(lines) == 1
    assert "lo: <LOOPBACK,UP" in lines[0]


def test_signals_are_neither_blocked_nor_ignored(box: Box) -> None:
    # not through sh, which ignores SIGQUIT itself
    status = box.run("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status").stdout.split()
    # 32 and 33 are libc's own: its posix_spawn leaves them ignored, as make's children see
    of_libc = 1 << 31 | 1 << 32
    assert [int(mask, 16) & ~of_libc for mask in status[1::2]] == [0, 0]


def test_session_is_its_own(box: Box) -> None:
    fields = box.sh("cat /proc/1/stat").rpartition(")")[2].split()
    assert fields[3] == "1"  # session id


def test_init_dies_with_its_monitor(box: Box) -> None:
    identity = secrets.token_hex(32)
    report = box.run("sleep", "1000", abandon=True, container_id=identity)
    assert ended_within(5, report.pid)
    find_group(identity).remove()  # what is left of it, the next command removes


def ended_within(seconds: float, pid: int) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], seconds)[0])
    finally:
        os.close(pidfd)


def test_missing_program_is_named(box: Box) -> None:
    report = box.run("no-such-program")
    assert report.error == "CommandNotFound"
    assert "no-such-program: not found on PATH" in report.message
    assert box.run("/bin/nope").message == "/bin/nope: no such file in the image"


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"#!/bin/sh\n", 0o644, "not executable"),
        (b"#!/opt/python\n", 0o755, "its interpreter /opt/python is not in the image"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0\xb7\0" + b"\0" * 44, 0o755, "for arm64"),
        (b"\0\0\0\0", 0o755, "neither a program nor a script"),
    ],
)
def test_program_that_cannot_run_says_why(box: Box, content: bytes, mode: int, said: str) -> None:
    program = box.diff / "bin" / "thing"
    program.write_bytes(content)
    program.chmod(mode)
    report = box.run("thing" if mode == 0o755 else "/bin/thing")
    assert report.error == "CommandNotExecutable"
    assert said in report.message


def test_folder_is_not_executable(box: Box) -> None:
    report = box.run("/etc")
    assert (report.error, report.message) == ("CommandNotExecutable", "/etc: is a folder")
