"""The same profiles through libseccomp, which runc and crun use: both programs answer alike.

Not compared, because they differ on purpose: calls newer than the profile (runc adds ENOSYS to
what libseccomp makes), architectures that are not listed (libseccomp ends the thread, we the
process), high halves of x32 arguments (libseccomp ignores them), rules that overlap.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from pydock_engine.oci.seccomp import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from pydock_engine.runtime.capabilities import DEFAULT, NAMES
from pydock_engine.runtime.seccomp.default_profile import default_profile
from pydock_engine.runtime.seccomp.numbers import ARM_PRIVATE, Abi, abis_of, tables
from pydock_engine.runtime.seccomp.program import program_for
from pydock_engine.runtime.seccomp.simulate import Call, run

PYTHON = "/usr/bin/python3"  # Debian's, whose package python3-seccomp is
TOP = 1 << 32

# Reads a profile, writes the program; the names it knows go to stderr. The steps are
# runc's: actions equal to the default are left out, an argument named twice makes two rules.
BRIDGE = """
import json, sys
import seccomp
profile = json.load(sys.stdin)

def action(name, data):
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        return getattr(seccomp, name[9:])(1 if data is None else data)
    return getattr(seccomp, name[9:])

default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
built = seccomp.SyscallFilter(default)
built.remove_arch(seccomp.Arch())  # the machine's own
for arch in profile["architectures"]:
    arch = getattr(seccomp.Arch, arch[10:])
    if not built.exist_arch(arch):
        built.add_arch(arch)
for rule in profile["syscalls"]:
    todo = action(rule["action"], rule.get("errnoRet"))
    args = [
        seccomp.Arg(one["index"], getattr(seccomp, one["op"][9:]), one["value"], one["valueTwo"])
        for one in rule.get("args", [])
    ]
    for name in rule["names"]:
        if seccomp.resolve_syscall(seccomp.Arch(), name) == -1:
            continue
        if todo != default:
            built.add_rule(todo, name, *args)
built.export_bpf(sys.stdout)
known = {}
for arch in profile["architectures"]:
    number = lambda name: seccomp.resolve_syscall(getattr(seccomp.Arch, arch[10:]), name)
    names = {name for rule in profile["syscalls"] for name in rule["names"]}
    known[arch] = sorted(name for name in names if number(name) >= 0)
print(json.dumps(known), file=sys.stderr)
"""


@cache
def missing() -> bool:
    command = [PYTHON, "-c", "import seccomp"]
    return not Path(PYTHON).exists() or bool(
        subprocess.run(command, capture_output=True).returncode
    )


@pytest.fixture(autouse=True)
def libseccomp() -> None:
    if missing():
        pytest.skip("needs libseccomp; as root: apt-get install python3-seccomp")


def compiled_by_libseccomp(seccomp: LinuxSeccomp) -> tuple[bytes, dict[str, list[str]]]:
    """Its program, and for each architecture the names of the profile that it knows there."""
    command = [PYTHON, "-c", BRIDGE]
    done = subprocess.run(command, input=msgspec.json.encode(seccomp), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, msgspec.json.decode(done.stderr)


def compare(seccomp: LinuxSeccomp, machine: str, values: list[int]) -> int:
    """Asserts that both programs answer alike; how many calls were compared."""
    theirs, known = compiled_by_libseccomp(seccomp)
    ours = program_for(seccomp, machine)
    count = 0
    for abi in abis_of(machine):
        if abi.architecture in seccomp.architectures:
            for call in calls_to_compare(seccomp, abi, set(known[abi.architecture]), values):
                assert run(ours, call)[0] == run(theirs, call)[0], call
                count += 1
    return count


def calls_to_compare(
    seccomp: LinuxSeccomp, abi: Abi, known: set[str], values: list[int]
) -> Iterator[Call]:
    """Every number up to the profile's highest; where arguments count, with each of `values`."""
    table = tables()[abi.column]
    named = {name for rule in seccomp.syscalls for name in rule.names} & table.keys()
    compared = {name for rule in seccomp.syscalls if rule.args for name in rule.names}
    by_arguments = {table[name] for name in compared & table.keys()}
    unknown = {table[name] for name in named - known}
    for number in range(max(table[name] for name in named if table[name] < ARM_PRIVATE) + 1):
        if number not in unknown:
            for value in values if number in by_arguments else values[:1]:
                low = value % TOP if abi.column == "x32" else value
                yield Call(abi.audit, abi.first + number, (low, low))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("capabilities", [(), DEFAULT, NAMES], ids=["none", "default", "all"])
def test_the_default_profile(capabilities: tuple[str, ...], machine: str) -> None:
    seccomp = default_profile(capabilities, (6, 1), machine)
    values = [0, 2, 40, 0x10000011, 0xFFFFFFFF, TOP + 2, TOP + 40]
    assert compare(seccomp, machine, values) > 700


@pytest.mark.parametrize("op", ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"])
@pytest.mark.parametrize("value", [0, 5, TOP - 1, TOP, 7 * TOP + 5])
def test_comparisons(op: str, value: int) -> None:
    def args(value_two: int, index: int) -> LinuxSeccompArg:
        operator = f"SCMP_CMP_{op}"
        return LinuxSeccompArg(index=index, value=value, value_two=value_two, op=operator)  # type: ignore[arg-type]

    seccomp = LinuxSeccomp(
        default_action="SCMP_ACT_KILL",
        architectures=("SCMP_ARCH_X86_64",),
        syscalls=(
            LinuxSyscall(names=("read",), action="SCMP_ACT_ALLOW", args=(args(5, 0),)),
            LinuxSyscall(names=("write",), action="SCMP_ACT_TRACE", args=(args(5, 0), args(1, 1))),
            LinuxSyscall(names=("open", "close"), action="SCMP_ACT_ERRNO", errno_ret=7),
        ),
    )
    values = [0, 1, 5, 6, TOP - 1, TOP, TOP + 5, 7 * TOP + 4, 7 * TOP + 5, 8 * TOP, 2**64 - 1]
    assert compare(seccomp, "x86_64", values) == 2 * len(values) + 2
