"""The assembler: sharing, long jumps, the kernel's limit; and the simulator that checks it."""

from __future__ import annotations

import pytest
from pydock_engine.errors import UsageError
from pydock_engine.runtime.seccomp import bpf
from pydock_engine.runtime.seccomp.bpf import Assembler, Instruction
from pydock_engine.runtime.seccomp.simulate import Call, check, instructions, run

ALLOW, DENY = 0x7FFF0000, 0x00050001


def packed(*code: Instruction) -> bytes:
    return b"".join(bpf.INSTRUCTION.pack(one.code, one.jt, one.jf, one.k) for one in code)


def test_jumps_are_counted_from_the_instruction_after_them() -> None:
    assembler = Assembler()
    deny, allow = assembler.ret(DENY), assembler.ret(ALLOW)
    start = assembler.load(0, assembler.jump(bpf.EQ, 7, allow, deny))
    assert instructions(assembler.program(start)) == (
        Instruction(bpf.LOAD, k=0),
        Instruction(bpf.EQ, jt=0, jf=1, k=7),
        Instruction(bpf.RET, k=ALLOW),
        Instruction(bpf.RET, k=DENY),
    )


def test_code_asked_for_twice_is_written_once() -> None:
    assembler = Assembler()
    deny, allow = assembler.ret(DENY), assembler.ret(ALLOW)
    first = assembler.load(16, assembler.jump(bpf.GT, 3, allow, deny))
    again = assembler.load(16, assembler.jump(bpf.GT, 3, assembler.ret(ALLOW), deny))
    assert first == again
    assert assembler.jump(bpf.EQ, 1, first, again) == first


def test_a_value_far_away_is_returned_from_near_by() -> None:
    program = chain_with_a_far(bpf.RET)
    check(program)
    assert len(instructions(program)) > 2 * 255
    for number in (0, 1, 299, 300):
        assert run(program, Call(0, number))[0] == (ALLOW if number == 300 else DENY)


def test_code_far_away_is_reached_by_a_long_jump() -> None:
    program = chain_with_a_far(bpf.LOAD)
    check(program)
    assert any(one.code == bpf.JUMP and one.k > 255 for one in instructions(program))
    for number in (0, 150, 299):
        assert run(program, Call(5, number))[0] == ALLOW
        assert run(program, Call(6, number))[0] == DENY


def chain_with_a_far(kind: int) -> bytes:
    """300 comparisons of the number, each going to the same place at the end of the program."""
    assembler = Assembler()
    deny, code = assembler.ret(DENY), assembler.ret(ALLOW)
    far = deny
    if kind == bpf.LOAD:
        far = assembler.load(4, assembler.jump(bpf.EQ, 5, code, deny))
    for number in range(300):
        code = assembler.load(0, assembler.jump(bpf.EQ, number, far, code))
    return assembler.program(code)


def test_falling_through_to_something_not_next_takes_a_jump() -> None:
    assembler = Assembler()
    allow = assembler.ret(ALLOW)
    assembler.ret(DENY)
    program = assembler.program(assembler.load(0, allow))
    check(program)
    assert run(program, Call(0, 0)) == (ALLOW, 3)


def test_a_program_starts_where_it_is_said_to() -> None:
    assembler = Assembler()
    start = assembler.ret(ALLOW)
    assembler.ret(DENY)
    assert run(assembler.program(start), Call(0, 0))[0] == ALLOW


def test_more_than_4096_instructions_are_refused() -> None:
    def program(length: int) -> bytes:
        assembler = Assembler()
        code = assembler.ret(ALLOW)
        for _ in range(length - 1):
            code = assembler.load(0, code)
        return assembler.program(code)

    check(program(4096))
    with pytest.raises(UsageError, match="needs 4097 instructions"):
        program(4097)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ([], "0 instructions"),
        ([Instruction(bpf.LOAD)], "no ret"),
        ([Instruction(bpf.LOAD, k=2), Instruction(bpf.RET)], "instruction 0"),
        ([Instruction(bpf.LOAD, k=64), Instruction(bpf.RET)], "instruction 0"),
        ([Instruction(bpf.EQ, jf=1), Instruction(bpf.RET)], "instruction 0"),
        ([Instruction(bpf.JUMP, k=1), Instruction(bpf.RET)], "instruction 0"),
        ([Instruction(0x30), Instruction(bpf.RET)], "instruction 0"),
        ([Instruction(bpf.RET)] * 4097, "4097 instructions"),
    ],
)
def test_the_check_refuses_what_the_kernel_refuses(code: list[Instruction], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(packed(*code))
