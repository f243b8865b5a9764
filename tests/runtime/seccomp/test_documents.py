"""The document `linux.seccomp`: what decodes, and what is refused at once."""

from __future__ import annotations

import json

import msgspec
import pytest
from pydock_engine.oci.seccomp import LinuxSeccomp

ARG = {"index": 0, "value": 2**64 - 1, "op": "SCMP_CMP_EQ"}
SYSCALL = {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [ARG]}
PROFILE = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [SYSCALL]}


def decode(document: object) -> LinuxSeccomp:
    return msgspec.json.decode(json.dumps(document), type=LinuxSeccomp)


def test_a_whole_profile_comes_back_as_it_went_in() -> None:
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_LOONGARCH64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath": "/run/agent.sock",
        "listenerMetadata": "x",
        "syscalls": [
            {
                "names": ["clone"],
                "action": "SCMP_ACT_TRACE",
                "errnoRet": 3,
                "args": [{"index": 5, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}],
            }
        ],
    }
    assert json.loads(msgspec.json.encode(decode(document))) == document


def test_no_flags_are_not_the_same_as_flags_left_out() -> None:
    assert decode(PROFILE).flags is None
    assert decode({**PROFILE, "flags": []}).flags == ()


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"syscalls": []}, "defaultAction"),
        ({**PROFILE, "defaultAction": "ALLOW"}, r"\$.defaultAction"),
        ({**PROFILE, "architectures": ["x86_64"]}, r"\$.architectures"),
        ({**PROFILE, "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}, r"\$.flags"),
        ({**PROFILE, "syscalls": [{**SYSCALL, "names": []}]}, r"\$.syscalls\[0\].names"),
        ({**PROFILE, "syscalls": [{**SYSCALL, "errnoRet": -1}]}, "errnoRet"),
        ({**PROFILE, "syscalls": [{**SYSCALL, "args": [{**ARG, "index": 6}]}]}, "index"),
        ({**PROFILE, "syscalls": [{**SYSCALL, "args": [{**ARG, "value": -1}]}]}, "value"),
        ({**PROFILE, "syscalls": [{**SYSCALL, "args": [{**ARG, "op": "EQ"}]}]}, "op"),
    ],
)
def test_what_the_specification_does_not_know_is_refused(document: object, path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=path):
        decode(document)
