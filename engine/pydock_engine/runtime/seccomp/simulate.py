"""A BPF program judged and run as the kernel would, on a record instead of a system call.

What the tests compare programs with, and a way to ask what a profile does with one call.

Source: kernel/seccomp.c, seccomp_check_filter; net/core/filter.c, bpf_check_classic.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from . import bpf
from .bpf import Instruction

_DATA: Final = struct.Struct("<iIQ6Q")  # struct seccomp_data
_TESTS: Final[dict[int, Callable[[int, int], int]]] = {
    bpf.EQ: operator.eq,
    bpf.GT: operator.gt,
    bpf.GE: operator.ge,
    bpf.SET: operator.and_,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A system call as a filter sees it; `arch` is an AUDIT_ARCH_* number."""

    arch: int
    number: int
    args: tuple[int, ...] = ()
    instruction_pointer: int = 0

    def pack(self) -> bytes:
        """The call as a struct seccomp_data, missing arguments as 0."""
        args = (*self.args, *(0,) * (6 - len(self.args)))
        number = self.number - (1 << 32) if self.number >> 31 else self.number
        return _DATA.pack(number, self.arch, self.instruction_pointer, *args)


@lru_cache(maxsize=8)
def instructions(program: bytes) -> tuple[Instruction, ...]:
    """The instructions of an array of struct sock_filter."""
    return tuple(Instruction(*fields) for fields in bpf.INSTRUCTION.iter_unpack(program))


def check(program: bytes) -> None:
    """Raises ValueError for a program that seccomp(2) would refuse with EINVAL."""
    code = instructions(program)
    if not 0 < len(code) <= bpf.MAX_INSTRUCTIONS:
        raise ValueError(f"{len(code)} instructions")
    if code[-1].code != bpf.RET:
        raise ValueError("the last instruction is no ret")
    for index, one in enumerate(code):
        left = len(code) - index - 1
        if one.code == bpf.LOAD:
            wrong = one.k % 4 or one.k >= _DATA.size
        elif one.code == bpf.JUMP:
            wrong = one.k >= left
        elif one.code in _TESTS:
            wrong = max(one.jt, one.jf) >= left
        else:
            wrong = one.code not in (bpf.AND, bpf.RET)
        if wrong:
            raise ValueError(f"instruction {index} is not valid: {one}")


def run(program: bytes, call: Call) -> tuple[int, int]:
    """What the filter returns for `call`, and how many instructions that took."""
    code = instructions(program)
    data = call.pack()
    accumulator = index = steps = 0
    while True:
        one = code[index]
        steps += 1
        index += 1
        if one.code == bpf.RET:
            return one.k, steps
        if one.code == bpf.LOAD:
            accumulator = int.from_bytes(data[one.k : one.k + 4], "little")
        elif one.code == bpf.AND:
            accumulator &= one.k
        elif one.code == bpf.JUMP:
            index += one.k
        else:
            index += one.jt if _TESTS[one.code](accumulator, one.k) else one.jf
