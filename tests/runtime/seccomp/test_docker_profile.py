"""Docker's profile files: their conditions settled for one container."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydock_engine.errors import UsageError
from pydock_engine.oci.seccomp import LinuxSeccomp
from pydock_engine.runtime.seccomp.docker_profile import MAX_PROFILE_BYTES, decode, settle


def settled(
    rules: list[dict[str, Any]],
    capabilities: tuple[str, ...] = (),
    kernel: tuple[int, int] = (6, 1),
    machine: str = "x86_64",
    **more: Any,
) -> LinuxSeccomp:
    document = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules, **more}
    return settle(decode(json.dumps(document)), capabilities, kernel, machine)


def counts(condition: dict[str, Any], **facts: Any) -> bool:
    rule = {"names": ["mount"], "action": "SCMP_ACT_ALLOW", **condition}
    return bool(settled([rule], **facts).syscalls)


@pytest.mark.parametrize(
    ("condition", "facts", "expected"),
    [
        ({}, {}, True),
        ({"includes": {"caps": ["CAP_A", "CAP_B"]}}, {"capabilities": ("CAP_A",)}, False),
        ({"includes": {"caps": ["CAP_A"]}}, {"capabilities": ("CAP_A", "CAP_B")}, True),
        ({"excludes": {"caps": ["CAP_A", "CAP_B"]}}, {"capabilities": ("CAP_B",)}, False),
        ({"excludes": {"caps": ["CAP_A"]}}, {"capabilities": ("CAP_B",)}, True),
        ({"includes": {"arches": ["amd64", "x32"]}}, {}, True),
        ({"includes": {"arches": ["arm64"]}}, {}, False),
        ({"includes": {"arches": ["arm64"]}}, {"machine": "aarch64"}, True),
        ({"excludes": {"arches": ["amd64"]}}, {}, False),
        ({"includes": {"minKernel": "4.8"}}, {"kernel": (4, 7)}, False),
        ({"includes": {"minKernel": "4.8"}}, {"kernel": (4, 10)}, True),
        ({"excludes": {"minKernel": "4.8"}}, {"kernel": (5, 0)}, False),
    ],
)
def test_conditions(condition: dict[str, Any], facts: dict[str, Any], expected: bool) -> None:
    assert counts(condition, **facts) is expected


def test_the_older_form_has_one_name() -> None:
    rule = {"name": "mount", "action": "SCMP_ACT_ALLOW", "args": None}
    assert settled([rule]).syscalls[0].names == ("mount",)


def test_arch_map_gives_the_machines_own_and_its_subs() -> None:
    arch_map = [
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
    ]
    assert settled([], archMap=arch_map).architectures == ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86")
    on_arm = settled([], machine="aarch64", archMap=arch_map).architectures
    assert on_arm == ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no seccomp profile"),
        ("[]", "no seccomp profile"),
        (b"\xff", "no seccomp profile"),
        ('{"defaultAction": "ALLOW"}', "defaultAction"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "x": 1}', "unknown field `x`"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_LOG"}]}', "name"),
        (
            '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","action":"SCMP_ACT_LOG",'
            '"includes":{"minKernel":"four"}}]}',
            "minKernel 'four'",
        ),
        (" " * (MAX_PROFILE_BYTES + 1), "at most"),
    ],
)
def test_what_is_no_profile_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        decode(text)
