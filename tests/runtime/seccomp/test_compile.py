"""Programs of profiles do what the profile says: by hand-made cases and against a plain reading."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydock_engine.errors import Unsupported, UsageError
from pydock_engine.oci.seccomp import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from pydock_engine.runtime.seccomp.numbers import X32_BIT, abis_of, tables
from pydock_engine.runtime.seccomp.program import program_for
from pydock_engine.runtime.seccomp.rules import unknown_names
from pydock_engine.runtime.seccomp.simulate import Call, check, run

from tests.runtime.seccomp.naive import ENOSYS, KILL_PROCESS, expected

X86_64, X86, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
ALLOW, LOG, ERRNO, KILL = 0x7FFF0000, 0x7FFC0000, 0x00050000, 0
EPERM = ERRNO | 1
TOP = 1 << 32


def profile(
    *syscalls: LinuxSyscall, default: str = "SCMP_ACT_ERRNO", **more: object
) -> LinuxSeccomp:
    return LinuxSeccomp(default_action=default, syscalls=syscalls, **more)  # type: ignore[arg-type]


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **more: object) -> LinuxSyscall:
    return LinuxSyscall(names=names, action=action, **more)  # type: ignore[arg-type]


def arg(op: str, value: int, value_two: int = 0, index: int = 0) -> LinuxSeccompArg:
    return LinuxSeccompArg(index=index, value=value, value_two=value_two, op=f"SCMP_CMP_{op}")  # type: ignore[arg-type]


def answer(
    seccomp: LinuxSeccomp,
    name: str | int,
    *args: int,
    arch: int = X86_64,
    machine: str = "x86_64",
) -> int:
    columns = {X86_64: "x86_64", X86: "x86", AARCH64: "aarch64", ARM: "arm"}
    number = tables()[columns[arch]][name] if isinstance(name, str) else name
    program = program_for(seccomp, machine)
    check(program)
    return run(program, Call(arch, number, args))[0]


# -- by hand -----------------------------------------------------------------------------------


def test_what_is_not_listed_gets_the_default_action() -> None:
    seccomp = profile(rule("read", "mseal"))
    assert answer(seccomp, "read") == ALLOW
    assert answer(seccomp, "mseal") == ALLOW
    assert answer(seccomp, "write") == EPERM


def test_calls_newer_than_the_profile_do_not_exist() -> None:
    seccomp = profile(rule("read", "openat2"))
    assert answer(seccomp, "openat2") == ALLOW
    assert answer(seccomp, "pidfd_getfd") == ENOSYS
    assert answer(seccomp, 100_000) == ENOSYS
    assert answer(seccomp, "close_range") == EPERM


@pytest.mark.parametrize("default", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
def test_a_permissive_profile_lets_new_calls_pass(default: str) -> None:
    seccomp = profile(rule("read", action="SCMP_ACT_ERRNO"), default=default)
    assert answer(seccomp, "mseal") == answer(seccomp, "write") != ENOSYS


def test_a_profile_without_rules_is_its_default_action() -> None:
    assert answer(profile(default="SCMP_ACT_LOG"), "read") == LOG
    assert answer(profile(), "mseal") == EPERM


def test_arm_has_new_calls_below_its_private_ones() -> None:
    seccomp = profile(rule("read", "cacheflush"), architectures=("SCMP_ARCH_ARM",))
    asked = {"arch": ARM, "machine": "aarch64"}
    assert answer(seccomp, "cacheflush", **asked) == ALLOW  # type: ignore[arg-type]
    assert answer(seccomp, "set_tls", **asked) == ENOSYS  # type: ignore[arg-type]
    assert answer(seccomp, "write", **asked) == ENOSYS  # type: ignore[arg-type]
    assert answer(seccomp, "exit", **asked) == EPERM  # type: ignore[arg-type]


def test_actions_carry_their_errno() -> None:
    seccomp = profile(
        rule("read", action="SCMP_ACT_ERRNO", errno_ret=38),
        rule("write", action="SCMP_ACT_TRACE", errno_ret=7),
        rule("close", action="SCMP_ACT_TRACE"),
        rule("open", action="SCMP_ACT_KILL"),
        rule("stat", action="SCMP_ACT_KILL_PROCESS"),
        rule("lseek", action="SCMP_ACT_TRAP"),
        default_errno_ret=13,
    )
    assert answer(seccomp, "read") == ERRNO | 38
    assert answer(seccomp, "write") == 0x7FF00007
    assert answer(seccomp, "close") == 0x7FF00001
    assert answer(seccomp, "open") == KILL
    assert answer(seccomp, "stat") == KILL_PROCESS
    assert answer(seccomp, "lseek") == 0x00030000
    assert answer(seccomp, "fstat") == ERRNO | 13


@pytest.mark.parametrize(
    ("op", "value", "value_two", "holding", "failing"),
    [
        ("EQ", TOP + 5, 0, [TOP + 5], [5, TOP + 4, 2 * TOP + 5]),
        ("NE", TOP + 5, 0, [5, TOP, 2 * TOP + 5], [TOP + 5]),
        ("LT", TOP + 5, 0, [0, TOP - 1, TOP + 4], [TOP + 5, TOP + 6, 2 * TOP]),
        ("LE", TOP + 5, 0, [0, 6, TOP + 5], [TOP + 6, 2 * TOP]),
        ("GT", TOP + 5, 0, [TOP + 6, 2 * TOP], [TOP + 5, TOP, TOP - 1, 6]),
        ("GE", TOP + 5, 0, [TOP + 5, 2 * TOP], [TOP + 4, TOP - 1, 6]),
        ("GE", 0, 0, [0, 2**64 - 1], []),
        ("LT", 0, 0, [], [0, 2**64 - 1]),
        ("MASKED_EQ", 0xF0 * TOP + 0x0F, 0x10 * TOP + 1, [0x1F * TOP + 0xF1], [1, 0x10 * TOP]),
        ("MASKED_EQ", 0x0F, 0, [0xF0, TOP], [0x01, TOP + 8]),
        ("MASKED_EQ", 0xFFFFFFFF, 7, [7, TOP + 7], [8, TOP]),
        ("MASKED_EQ", 0, 0, [0, 2**64 - 1], []),
        ("MASKED_EQ", 3, 0xFF, [3, 7], [2]),  # bits outside of the mask count for nothing
    ],
)
def test_arguments_are_compared_in_all_64_bits(
    op: str, value: int, value_two: int, holding: list[int], failing: list[int]
) -> None:
    seccomp = profile(rule("read", args=(arg(op, value, value_two, index=2),)))
    assert {answer(seccomp, "read", 0, 0, actual) for actual in holding} <= {ALLOW}
    assert {answer(seccomp, "read", 0, 0, actual) for actual in failing} <= {EPERM}


def test_arguments_of_a_32_bit_call_have_32_bits() -> None:
    garbage = 7 * TOP
    seccomp = profile(
        rule("read", args=(arg("EQ", 5),)),
        rule("write", args=(arg("LT", TOP),)),
        rule("close", args=(arg("GE", TOP),)),
        architectures=("SCMP_ARCH_X86",),
    )
    assert answer(seccomp, "read", garbage + 5, arch=X86) == ALLOW
    assert answer(seccomp, "read", garbage + 5) == EPERM
    assert answer(seccomp, "write", garbage, arch=X86) == ALLOW
    assert answer(seccomp, "close", garbage, arch=X86) == EPERM


def test_all_arguments_of_a_rule_have_to_hold() -> None:
    seccomp = profile(rule("read", args=(arg("EQ", 1), arg("GT", 2, index=1))))
    assert answer(seccomp, "read", 1, 3) == ALLOW
    assert answer(seccomp, "read", 1, 2) == EPERM
    assert answer(seccomp, "read", 0, 3) == EPERM


def test_one_of_several_rules_is_enough() -> None:
    seccomp = profile(rule("read", args=(arg("EQ", 1),)), rule("read", args=(arg("EQ", 2),)))
    assert [answer(seccomp, "read", value) for value in range(4)] == [EPERM, ALLOW, ALLOW, EPERM]


def test_an_argument_compared_twice_makes_two_rules() -> None:
    seccomp = profile(rule("read", args=(arg("EQ", 1), arg("EQ", 2))))
    assert [answer(seccomp, "read", value) for value in range(4)] == [EPERM, ALLOW, ALLOW, EPERM]


def test_where_rules_overlap_the_strictest_holds() -> None:
    wide = rule("read", args=(arg("GE", 0),))
    narrow = rule("read", args=(arg("EQ", 40),), action="SCMP_ACT_KILL_PROCESS")
    for seccomp in (profile(wide, narrow), profile(narrow, wide)):
        assert answer(seccomp, "read", 40) == KILL_PROCESS
        assert answer(seccomp, "read", 41) == ALLOW


def test_a_rule_without_arguments_stands_above_those_with_some() -> None:
    denied = rule("read", args=(arg("EQ", 1),), action="SCMP_ACT_KILL")
    assert answer(profile(denied, rule("read")), "read", 1) == ALLOW
    first, second = rule("read", action="SCMP_ACT_LOG"), rule("read")
    assert answer(profile(first, second), "read") == LOG


def test_a_rule_that_repeats_the_default_says_nothing() -> None:
    repeated = rule("read", action="SCMP_ACT_ERRNO", errno_ret=1)
    assert answer(profile(repeated, rule("read", args=(arg("EQ", 1),))), "read", 1) == ALLOW


def test_an_architecture_not_listed_ends_the_process() -> None:
    assert answer(profile(rule("read")), "read", arch=X86) == KILL_PROCESS
    listed = profile(rule("read"), architectures=("SCMP_ARCH_X86",))
    assert answer(listed, "read", arch=X86) == ALLOW
    assert answer(listed, "read") == ALLOW  # the native one goes without saying
    assert answer(listed, 63, arch=AARCH64) == KILL_PROCESS


def test_x32_is_no_way_around_the_numbers_of_x86_64() -> None:
    denying = profile(rule("mount", action="SCMP_ACT_ERRNO"), default="SCMP_ACT_ALLOW")
    assert answer(denying, X32_BIT + 165) == ENOSYS
    assert answer(denying, 0xFFFFFFFF) == ENOSYS
    listed = profile(
        rule("readv"),
        rule("mount", "rt_sigreturn", action="SCMP_ACT_LOG"),
        architectures=("SCMP_ARCH_X32",),
    )
    assert answer(listed, X32_BIT + 165) == LOG
    assert answer(listed, X32_BIT + 515) == ALLOW
    assert answer(listed, X32_BIT + 19) == EPERM  # readv of x86_64
    assert answer(listed, X32_BIT + 516) == ENOSYS


def test_names_of_other_kernels_and_machines_are_left_out() -> None:
    seccomp = profile(rule("read", "cacheflush", "s390_runtime_instr", "moutn"))
    assert answer(seccomp, "read") == ALLOW
    assert unknown_names(seccomp) == ("s390_runtime_instr", "moutn")


# -- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seccomp", "error", "message"),
    [
        (profile(rule("read", action="SCMP_ACT_NOTIFY")), Unsupported, "SCMP_ACT_NOTIFY"),
        (profile(default="SCMP_ACT_NOTIFY"), Unsupported, "SCMP_ACT_NOTIFY"),
        (profile(listener_path="/run/agent.sock"), Unsupported, "listenerPath"),
        (profile(listener_metadata="x"), Unsupported, "listener"),
        (profile(rule("read", errno_ret=1)), UsageError, "errnoRet 1 .* SCMP_ACT_ALLOW"),
        (profile(rule("read", action="SCMP_ACT_ERRNO", errno_ret=4096)), UsageError, "4096"),
        (profile(rule("read", action="SCMP_ACT_TRACE", errno_ret=1 << 16)), UsageError, "65536"),
        (profile(default="SCMP_ACT_KILL", default_errno_ret=1), UsageError, "SCMP_ACT_KILL"),
        (profile(rule("read", args=(arg("EQ", 1 << 64),))), UsageError, "64 bits"),
        (profile(rule("read", args=(arg("EQ", 0, index=6),))), UsageError, "argument 6"),
    ],
)
def test_what_cannot_be_done_is_refused(
    seccomp: LinuxSeccomp, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        program_for(seccomp, "x86_64")


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(Unsupported, match="s390x"):
        program_for(profile(), "s390x")


def test_more_comparisons_than_the_kernel_takes_are_refused() -> None:
    rules = [rule("read", args=(arg("EQ", value * TOP + value),)) for value in range(1500)]
    with pytest.raises(UsageError, match="instructions"):
        program_for(profile(*rules), "x86_64")


# -- against a plain reading -------------------------------------------------------------------

NAMES = ["read", "write", "open", "close", "stat", "clone", "clone3", "socket", "mount", "mseal"]
NAMES += ["openat2", "readv", "execveat", "cacheflush", "arm_fadvise64_64", "no_such_call"]
ACTIONS = ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG"]
VALUES = st.sampled_from([0, 1, 5, TOP - 1, TOP, TOP + 1, TOP + 5, 7 * TOP + 5, 2**64 - 1])
OPERATORS = st.sampled_from(["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"])
ARGS = st.builds(arg, OPERATORS, VALUES, VALUES, st.integers(0, 2))


@st.composite
def rules(draw: st.DrawFn) -> LinuxSyscall:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    action = draw(st.sampled_from(ACTIONS))
    data = draw(st.sampled_from([None, 1, 38])) if action in ("ERRNO", "TRACE") else None
    args = tuple(draw(st.lists(ARGS, max_size=3)))
    return rule(*names, action=f"SCMP_ACT_{action}", errno_ret=data, args=args)


@st.composite
def profiles(draw: st.DrawFn) -> LinuxSeccomp:
    architectures = st.sampled_from(["X86", "X32", "X86_64", "ARM", "AARCH64", "MIPS"])
    return profile(
        *draw(st.lists(rules(), max_size=8)),
        default=f"SCMP_ACT_{draw(st.sampled_from(ACTIONS))}",
        architectures=tuple(f"SCMP_ARCH_{name}" for name in draw(st.lists(architectures))),
    )


@settings(max_examples=150, deadline=None, database=None)
@given(
    profiles(),
    st.sampled_from(["x86_64", "aarch64"]),
    st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=6),
)
def test_a_program_means_what_the_profile_says(
    seccomp: LinuxSeccomp, machine: str, arguments: list[tuple[int, ...]]
) -> None:
    program = program_for(seccomp, machine)
    check(program)
    numbers = {0, X32_BIT, 0xFFFFFFFF}
    for abi in abis_of(machine):
        table = tables()[abi.column]
        near = {table[name] + step for name in NAMES if name in table for step in (0, 1)}
        numbers |= {number + first for number in near for first in (0, abi.first)}
    for arch in (X86_64, X86, AARCH64, ARM):
        for number in numbers:
            for args in arguments:
                call = Call(arch, number, args)
                assert run(program, call)[0] == expected(seccomp, machine, call), call
