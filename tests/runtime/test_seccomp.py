"""The filter of system calls as a program inside meets it, at every level."""

from __future__ import annotations

import errno
import json

import pytest
from pydock_engine.runtime import syscalls

from tests.runtime.calls import add_call
from tests.runtime.lab import Box

pytestmark = [pytest.mark.root, pytest.mark.userns]

NOT_EVEN_THE_ARGUMENTS_ARE_READ = {
    "mount": (0, 0, 0, 0, 0),
    "keyctl": (999,),
    "bpf": (0, 0, 0),
    "unshare": (syscalls.CLONE_NEWUSER,),
    "add_key": (0, 0, 0, 0, 0),
    "init_module": (0, 0, 0),
    "open_by_handle_at": (-100, 0, 0),
    "kexec_load": (0, 0, 0, 0),
    "setns": (0, 0),
    "perf_event_open": (0, 0, -1, -1, 0),
    "userfaultfd": (-1,),
}


@pytest.mark.parametrize("call", NOT_EVEN_THE_ARGUMENTS_ARE_READ)
@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_dangerous_calls_are_refused(box: Box, call: str, no_new_privileges: bool) -> None:
    add_call(box.diff / "bin", "attack", call, *NOT_EVEN_THE_ARGUMENTS_ARE_READ[call])
    report = box.run("attack", no_new_privileges=no_new_privileges)
    assert (report.message, report.exit_code) == ("", errno.EPERM)


def test_clone3_is_unknown_so_that_programs_fall_back(box: Box) -> None:
    add_call(box.diff / "bin", "attack", "clone3", 0, 0)
    assert box.run("attack").exit_code == errno.ENOSYS


@pytest.mark.parametrize(
    ("call", "expected"), [("mount", errno.EFAULT), ("clone3", errno.EINVAL), ("unshare", 0)]
)
def test_unconfined_lifts_the_filter_and_is_told(box: Box, call: str, expected: int) -> None:
    arguments = NOT_EVEN_THE_ARGUMENTS_ARE_READ.get(call, (0, 0))
    add_call(box.diff / "bin", "attack", call, *arguments)
    report = box.run("attack", seccomp="unconfined")
    assert (report.message, report.exit_code) == ("", expected)
    assert report.isolation.endswith("seccomp unconfined")


def test_the_status_says_filtered(box: Box) -> None:
    assert "Seccomp:\t2\n" in box.sh("cat /proc/self/status")
    assert "Seccomp:\t0\n" in box.sh("cat /proc/self/status", seccomp="unconfined")


def test_a_profile_of_the_users_replaces_the_default(box: Box) -> None:
    add_call(box.diff / "bin", "attack", "mount", 0, 0, 0, 0, 0)
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []}],
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {
                "names": ["mount"],
                "action": "SCMP_ACT_ERRNO",
                "excludes": {"caps": ["CAP_CHOWN"]},
            },
        ],
    }
    report = box.run("mkdir", "/tmp/x", seccomp=json.dumps(profile))
    assert "No space left on device" in report.stderr
    assert box.run("attack", seccomp=json.dumps(profile)).exit_code == errno.EFAULT


def test_a_profile_that_forbids_execve_is_an_error_of_the_start(box: Box) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ERRNO"}],
    }
    report = box.run("true", seccomp=json.dumps(profile))
    assert report.error == "SyscallError"
    assert "execve" in report.message
