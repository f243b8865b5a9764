"""The default profile: what it allows by capability, kernel and machine."""

from __future__ import annotations

import errno

import msgspec
import pytest
from pydock_engine.errors import Unsupported
from pydock_engine.oci.seccomp import LinuxSeccomp
from pydock_engine.runtime.capabilities import DEFAULT, NAMES
from pydock_engine.runtime.seccomp.bpf import LOAD
from pydock_engine.runtime.seccomp.default_calls import ALWAYS, OF_CAPABILITY, OF_MACHINE
from pydock_engine.runtime.seccomp.default_profile import default_profile, kernel_version
from pydock_engine.runtime.seccomp.numbers import abis_of, tables
from pydock_engine.runtime.seccomp.program import program_for
from pydock_engine.runtime.seccomp.rules import unknown_names
from pydock_engine.runtime.seccomp.simulate import Call, check, instructions, run

from tests.runtime.seccomp.naive import expected

ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050000 | errno.ENOSYS
MACHINES = ["x86_64", "aarch64"]
NEW = (6, 18)
CLONE_NEWUSER = 0x10000000


def answer(seccomp: LinuxSeccomp, name: str, *args: int, machine: str = "x86_64") -> int:
    native = abis_of(machine)[0]
    call = Call(native.audit, tables()[native.column][name], args)
    return run(program_for(seccomp, machine), call)[0]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("capabilities", [(), DEFAULT, NAMES], ids=["none", "default", "all"])
def test_the_program_means_what_the_profile_says(
    capabilities: tuple[str, ...], machine: str
) -> None:
    seccomp = default_profile(capabilities, NEW, machine)
    program = program_for(seccomp, machine)
    check(program)
    for abi in abis_of(machine):
        table = tables()[abi.column]
        calls = [Call(abi.audit, abi.first + number) for number in range(600)]
        for name in ("clone", "clone3", "personality", "socket"):
            numbers = [table[name]] if name in table else []
            for value in (8, 38, 40, CLONE_NEWUSER | 17, 0xFFFFFFFF, 1 << 32):
                calls += [Call(abi.audit, abi.first + number, (value,)) for number in numbers]
        for call in calls:
            assert run(program, call)[0] == expected(seccomp, machine, call), call


@pytest.mark.parametrize("machine", MACHINES)
def test_every_name_has_a_number_somewhere(machine: str) -> None:
    assert unknown_names(default_profile(NAMES, NEW, machine)) == ()


def test_no_name_is_listed_twice() -> None:
    assert len(set(ALWAYS)) == len(ALWAYS)
    for names in (*OF_CAPABILITY.values(), *OF_MACHINE.values()):
        assert not set(names) & set(ALWAYS)
    assert OF_CAPABILITY.keys() <= set(NAMES)


@pytest.mark.parametrize("capability", sorted(OF_CAPABILITY))
def test_a_capability_brings_its_calls_and_no_others(capability: str) -> None:
    without = allowed(default_profile([], NEW, "x86_64"))
    brought = allowed(default_profile([capability], NEW, "x86_64")) - without
    known = tables()["x86_64"].keys() | tables()["x86"].keys()
    assert brought & known == (set(OF_CAPABILITY[capability]) - without) & known


def allowed(seccomp: LinuxSeccomp) -> set[str]:
    """Names allowed whatever their arguments."""
    return {name for rule in seccomp.syscalls if not rule.args for name in rule.names} - {
        name for rule in seccomp.syscalls if rule.action == "SCMP_ACT_ERRNO" for name in rule.names
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_clone_makes_namespaces_for_administrators_only(machine: str) -> None:
    ordinary = default_profile(DEFAULT, NEW, machine)
    assert answer(ordinary, "clone", 17, machine=machine) == ALLOW
    assert answer(ordinary, "clone", CLONE_NEWUSER | 17, machine=machine) == EPERM
    assert answer(ordinary, "clone3", machine=machine) == ENOSYS
    administrator = default_profile(["CAP_SYS_ADMIN"], NEW, machine)
    assert answer(administrator, "clone", CLONE_NEWUSER | 17, machine=machine) == ALLOW
    assert answer(administrator, "clone3", machine=machine) == ALLOW


def test_some_calls_come_with_no_capability() -> None:
    seccomp = default_profile(NAMES, NEW, "x86_64")
    never = ["add_key", "keyctl", "request_key", "kexec_load", "kexec_file_load", "swapon"]
    never += ["io_uring_setup", "userfaultfd", "pivot_root", "migrate_pages", "move_pages"]
    never += ["_sysctl", "uselib", "ustat", "sysfs", "nfsservctl", "create_module"]
    assert {answer(seccomp, name) for name in never} == {EPERM}


def test_sockets_to_the_hypervisor_and_the_kernels_ciphers_are_refused() -> None:
    seccomp = default_profile(NAMES, NEW, "x86_64")
    refused = {family for family in range(46) if answer(seccomp, "socket", family) != ALLOW}
    assert refused == {38, 40}
    assert answer(seccomp, "socket", 40 | 1 << 32) == EPERM  # the kernel sees 40
    assert answer(seccomp, "socket", 2 | 1 << 32) == ALLOW


def test_personalities_that_weaken_a_process_are_refused() -> None:
    seccomp = default_profile(NAMES, NEW, "x86_64")
    for persona in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF):
        assert answer(seccomp, "personality", persona) == ALLOW
    for persona in (0x0040000, 0x0400000, 1, 0x0100000):  # no randomization, read implies exec, …
        assert answer(seccomp, "personality", persona) == EPERM


def test_tracing_is_safe_from_linux_4_8_on() -> None:
    assert answer(default_profile([], (4, 7), "x86_64"), "ptrace") == EPERM
    assert answer(default_profile([], (4, 8), "x86_64"), "ptrace") == ALLOW
    assert answer(default_profile([], (10, 0), "x86_64"), "process_vm_readv") == ALLOW
    assert answer(default_profile(["CAP_SYS_PTRACE"], (4, 7), "x86_64"), "ptrace") == ALLOW


def test_calls_of_one_machine() -> None:
    assert answer(default_profile([], NEW, "x86_64"), "arch_prctl") == ALLOW
    names = set(default_profile([], NEW, "aarch64").syscalls[0].names)
    assert "cacheflush" in names
    assert "arch_prctl" not in names


def test_the_other_abis_of_a_machine_are_covered() -> None:
    x86 = default_profile([], NEW, "x86_64")
    assert x86.architectures == ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")
    arm = default_profile([], NEW, "aarch64")
    assert arm.architectures == ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(Unsupported, match="riscv64"):
        default_profile([], NEW, "riscv64")


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_is_decided_in_few_steps(machine: str) -> None:
    program = program_for(default_profile(DEFAULT, NEW, machine), machine)
    assert len(instructions(program)) < 600
    native = abis_of(machine)[0]
    names = set(ALWAYS) & tables()[native.column].keys()
    steps = [run(program, Call(native.audit, tables()[native.column][n]))[1] for n in names]
    assert sum(steps) / len(steps) < 12
    assert max(steps) <= 17


def test_a_simply_allowed_call_looks_at_number_and_architecture_alone() -> None:
    # What lets Linux 5.11 and newer skip the filter for it.
    program = program_for(default_profile(DEFAULT, NEW, "x86_64"), "x86_64")
    looking_at_arguments = [
        one for one in instructions(program) if one.code == LOAD and one.k not in (0, 4)
    ]
    assert {one.k for one in looking_at_arguments} == {16, 20}
    for name in ("read", "write", "futex", "openat", "epoll_wait"):
        for garbage in (0, 2**64 - 1):
            found = {answer(default_profile(DEFAULT, NEW, "x86_64"), name, *[garbage] * 6)}
            assert found == {ALLOW}


def test_the_profile_is_a_document_of_the_specification() -> None:
    seccomp = default_profile(DEFAULT, NEW, "x86_64")
    text = msgspec.json.encode(seccomp)
    assert msgspec.json.decode(text, type=LinuxSeccomp) == seccomp
    plain = msgspec.json.decode(text)
    assert plain["defaultAction"] == "SCMP_ACT_ERRNO"
    assert plain["defaultErrnoRet"] == 1
    assert plain["syscalls"][0].keys() == {"names", "action"}


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-fc", (6, 18)), ("5.4", (5, 4)), ("10.0-rc1", (10, 0)), ("unknown", (0, 0))],
)
def test_versions_of_kernels(release: str, version: tuple[int, int]) -> None:
    assert kernel_version(release) == version
