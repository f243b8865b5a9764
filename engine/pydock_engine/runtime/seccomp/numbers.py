"""System call names and the numbers they have on each architecture; which machine runs which.

Source: numbers.txt, made from the kernel's uapi headers by scripts/syscall_numbers.py;
linux/audit.h for the architectures' names in `struct seccomp_data`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ... import errors
from ...oci.seccomp import Architecture

X32_BIT: Final = 0x40000000
"""Set in the number of every x32 call; x32 shares AUDIT_ARCH_X86_64 (asm/unistd.h)."""

ARM_PRIVATE: Final = 0x0F0000
"""Calls private to arm start here, far above the ordinary ones (asm/unistd.h, __ARM_NR_BASE)."""


@dataclass(frozen=True, slots=True)
class Abi:
    """A set of system calls that a program can enter the kernel by."""

    architecture: Architecture
    audit: int
    column: str
    argument_bits: int
    first: int = 0
    """What is added to the numbers in the table."""


_X86_64 = Abi("SCMP_ARCH_X86_64", 0xC000003E, "x86_64", 64)
_X86 = Abi("SCMP_ARCH_X86", 0x40000003, "x86", 32)
_X32 = Abi("SCMP_ARCH_X32", 0xC000003E, "x32", 64, X32_BIT)
_AARCH64 = Abi("SCMP_ARCH_AARCH64", 0xC00000B7, "aarch64", 64)
_ARM = Abi("SCMP_ARCH_ARM", 0x40000028, "arm", 32)

# As uname(2) names machines; the native ABI first.
_MACHINES: Final = {"x86_64": (_X86_64, _X86, _X32), "aarch64": (_AARCH64, _ARM)}


def abis_of(machine: str) -> tuple[Abi, ...]:
    """Every ABI `machine`'s kernel may offer, the native one first.

    Raises Unsupported for a machine this engine has no table for.
    """
    try:
        return _MACHINES[machine]
    except KeyError:
        raise errors.Unsupported(
            f"no table of system calls for {machine}",
            way_out="run without a filter: --security-opt seccomp=unconfined",
            machine=machine,
        ) from None


@cache
def tables() -> dict[str, dict[str, int]]:
    """For each column of numbers.txt, the number of every call it has."""
    text = Path(__file__).with_name("numbers.txt").read_text("ascii")
    header, *rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    columns = list(zip(*rows, strict=True))
    return {
        column: {
            name: int(number)
            for name, number in zip(columns[0], numbers, strict=True)
            if number != "-"
        }
        for column, numbers in zip(header[1:], columns[1:], strict=True)
    }
