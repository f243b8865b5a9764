"""A small assembler for the kernel's classic BPF, as seccomp(2) takes it.

A program is written from its end to its start: every instruction names the ones it continues
at, and those exist already. So each jump knows its distance when it is written, and code that
is asked for twice is shared. A jump reaches 255 instructions ahead; where a target is further
away, a copy of it (if it is a `ret`) or a long jump is put right behind the jump.

Source: linux/bpf_common.h, linux/filter.h; Documentation/networking/filter.rst.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NewType

from ... import errors

LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS: A = 32 bits of struct seccomp_data at k
AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K: A &= k
JUMP: Final = 0x05  # BPF_JMP | BPF_JA: on by k
EQ: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K: A == k
GT: Final = 0x25  # A > k, unsigned as all of them
GE: Final = 0x35
SET: Final = 0x45  # A & k
RET: Final = 0x06  # BPF_RET | BPF_K

MAX_INSTRUCTIONS: Final = 4096  # BPF_MAXINSNS
INSTRUCTION: Final = struct.Struct("=HBBI")  # struct sock_filter
_REACH: Final = 255

Label = NewType("Label", int)
"""An instruction, by how many there are from it to the program's end."""


@dataclass(frozen=True, slots=True)
class Instruction:
    code: int
    jt: int = 0
    jf: int = 0
    k: int = 0


class Assembler:
    """Builds one program; each method returns the label of the code it stands for."""

    def __init__(self) -> None:
        self._backwards: list[Instruction] = []
        self._known: dict[tuple[int, ...], Label] = {}

    def ret(self, value: int) -> Label:
        key = (RET, value)
        if key not in self._known:
            self._known[key] = self._emit(Instruction(RET, k=value))
        return self._known[key]

    def load(self, offset: int, then: Label) -> Label:
        """`A` becomes the word at `offset` of the data, then on at `then`."""
        return self._straight(LOAD, offset, then)

    def mask(self, bits: int, then: Label) -> Label:
        """Only `bits` are kept of `A`, then on at `then`."""
        return self._straight(AND, bits, then)

    def jump(self, test: int, k: int, yes: Label, no: Label) -> Label:
        """On at `yes` if `A` passes the `test` (EQ, GT, GE or SET) against `k`, else at `no`."""
        if yes == no:
            return yes
        key = (test, k, yes, no)
        if key not in self._known:
            yes, no = self._within_reach(yes), self._within_reach(no)
            here = len(self._backwards)
            self._known[key] = self._emit(Instruction(test, here - yes, here - no, k))
        return self._known[key]

    def program(self, start: Label) -> bytes:
        """The program that begins at `start`, as an array of struct sock_filter.

        Raises UsageError when it is longer than the kernel takes.
        """
        self._next_to(start)
        count = len(self._backwards)
        if count > MAX_INSTRUCTIONS:
            raise errors.UsageError(
                f"the seccomp profile needs {count} instructions, the kernel takes "
                f"{MAX_INSTRUCTIONS}",
                way_out="use fewer comparisons of arguments",
            )
        return b"".join(
            INSTRUCTION.pack(one.code, one.jt, one.jf, one.k) for one in reversed(self._backwards)
        )

    def _emit(self, instruction: Instruction) -> Label:
        self._backwards.append(instruction)
        return Label(len(self._backwards))

    def _straight(self, code: int, k: int, then: Label) -> Label:
        key = (code, k, then)
        if key not in self._known:
            self._next_to(then)
            self._known[key] = self._emit(Instruction(code, k=k))
        return self._known[key]

    def _next_to(self, then: Label) -> None:
        """Makes sure that what is emitted next falls through to `then`."""
        distance = len(self._backwards) - then
        if distance:
            self._emit(Instruction(JUMP, k=distance))

    def _within_reach(self, target: Label) -> Label:
        # One less than the reach, for the other target of a jump may need room in between.
        if len(self._backwards) - target < _REACH:
            return target
        instruction = self._backwards[target - 1]
        if instruction.code != RET:
            return self._emit(Instruction(JUMP, k=len(self._backwards) - target))
        near = self._emit(instruction)
        self._known[RET, instruction.k] = near
        return near
