"""The profile of a container that asks for none: of the same meaning as Docker's.

It differs in one point, on purpose: the families of sockets are a list, compared as the 32-bit
number the kernel makes of them. "Less or greater than AF_VSOCK", in 64 bits, lets AF_VSOCK itself
pass with any bit set above those 32. Families the list does not know are refused as well.

Source: Docker's default profile (moby, profiles/seccomp); linux/sched.h, linux/socket.h,
linux/personality.h.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from ...oci.seccomp import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from .default_calls import ALWAYS, OF_CAPABILITY, OF_MACHINE, TRACING
from .numbers import abis_of

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES: Final = 0x7E020000

# Up to AF_MCTP (45), but not AF_ALG (the kernel's cryptography) and AF_VSOCK (the hypervisor).
_FAMILIES: Final = tuple(family for family in range(46) if family not in (38, 40))

# PER_LINUX and PER_LINUX32, each with UNAME26 too; the last asks which one is set.
_PERSONALITIES: Final = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def kernel_version(release: str) -> tuple[int, int]:
    """Major and minor number of `os.uname().release`, (0, 0) where it has none."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def default_profile(
    capabilities: Iterable[str], kernel: tuple[int, int], machine: str
) -> LinuxSeccomp:
    """The calls a container may make that has `capabilities` as its bounding set.

    Parameters
    ----------
    capabilities
        As in runtime-spec: `CAP_SYS_ADMIN`.
    kernel
        Major and minor version, see `kernel_version`.
    machine
        `os.uname().machine`; its other ABIs (32-bit, x32) are covered too.

    Raises
    ------
    Unsupported
        There is no table of system calls for `machine`.
    """
    return _profile(frozenset(capabilities), kernel, machine)


@lru_cache(maxsize=64)
def _profile(capabilities: frozenset[str], kernel: tuple[int, int], machine: str) -> LinuxSeccomp:
    architectures = tuple(abi.architecture for abi in abis_of(machine))
    allowed = [*ALWAYS, *OF_MACHINE[machine]]
    if kernel >= (4, 8):
        allowed += TRACING
    for capability in sorted(capabilities & OF_CAPABILITY.keys()):
        allowed += OF_CAPABILITY[capability]
    rules = [_allow(*dict.fromkeys(allowed))]
    rules += [_allow("socket", arg=_int_is(family)) for family in _FAMILIES]
    rules += [_allow("personality", arg=_is(value)) for value in _PERSONALITIES]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules.append(_allow("clone", arg=_has_none_of(_NAMESPACES)))
        # Its flags are behind a pointer, out of a filter's sight; C libraries fall back to clone.
        rules.append(
            LinuxSyscall(names=("clone3",), action="SCMP_ACT_ERRNO", errno_ret=errno.ENOSYS)
        )
    return LinuxSeccomp(
        default_action="SCMP_ACT_ERRNO",
        default_errno_ret=errno.EPERM,
        architectures=architectures,
        syscalls=tuple(rules),
    )


def _allow(*names: str, arg: LinuxSeccompArg | None = None) -> LinuxSyscall:
    args = () if arg is None else (arg,)
    return LinuxSyscall(names=names, action="SCMP_ACT_ALLOW", args=args)


def _is(value: int) -> LinuxSeccompArg:
    return LinuxSeccompArg(index=0, value=value, op="SCMP_CMP_EQ")


def _int_is(value: int) -> LinuxSeccompArg:
    return LinuxSeccompArg(index=0, value=0xFFFFFFFF, value_two=value, op="SCMP_CMP_MASKED_EQ")


def _has_none_of(bits: int) -> LinuxSeccompArg:
    return LinuxSeccompArg(index=0, value=bits, value_two=0, op="SCMP_CMP_MASKED_EQ")
