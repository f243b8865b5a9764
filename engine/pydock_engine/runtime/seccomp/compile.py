"""A profile becomes a BPF program: which ABI, then a binary search for the number, then the rules.

Nothing but number and architecture is looked at for a call that is simply allowed, so the kernel
(5.11 and newer) finds out once, on installation, and skips the filter for it from then on.

Source: linux/seccomp.h (struct seccomp_data); kernel/seccomp.c, seccomp_is_const_allow.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from ...oci.seccomp import LinuxSeccomp, LinuxSeccompArg
from . import bpf
from .bpf import Assembler, Label
from .numbers import X32_BIT, Abi, abis_of
from .rules import ENOSYS, KILL_PROCESS, Decision, decisions

# struct seccomp_data; both machines are little-endian, so the low half of an argument comes first.
_NUMBER: Final = 0
_AUDIT_ARCH: Final = 4
_ARGUMENTS: Final = 16
_HALF: Final = 0xFFFFFFFF

Stretch = tuple[int, Decision]


def compile_profile(seccomp: LinuxSeccomp, machine: str) -> bytes:
    """The program for `machine` (as uname(2) says it): an array of struct sock_filter.

    The native architecture is always covered, others if `architectures` lists them. A call by
    way of one that is not listed ends the process; x32, if not listed, is answered with ENOSYS
    as by a kernel without it, so that it is no way around the numbers of x86_64.

    Raises
    ------
    Unsupported
        SCMP_ACT_NOTIFY, a listener, or a machine without a table.
    UsageError
        A value out of range, or a program of more than 4096 instructions.
    """
    assembler = Assembler()
    start = assembler.ret(KILL_PROCESS)
    # Backwards, so that the native architecture is asked for first and its search is the nearest.
    for audit, abis in reversed(_wanted(seccomp, machine).items()):
        stretches = [stretch for abi in abis for stretch in decisions(seccomp, abi)]
        if [abi.column for abi in abis] == ["x86_64"]:
            stretches.append((X32_BIT, Decision(ENOSYS)))
        search = assembler.load(_NUMBER, _search(assembler, stretches, abis[0].argument_bits))
        start = assembler.jump(bpf.EQ, audit, search, start)
    return assembler.program(assembler.load(_AUDIT_ARCH, start))


def _wanted(seccomp: LinuxSeccomp, machine: str) -> dict[int, list[Abi]]:
    """The ABIs to cover, by the architecture the kernel reports for them."""
    native, *others = abis_of(machine)
    result: defaultdict[int, list[Abi]] = defaultdict(list, {native.audit: [native]})
    for abi in others:
        if abi.architecture in seccomp.architectures:
            result[abi.audit].append(abi)
    return result


def _search(assembler: Assembler, stretches: list[Stretch], bits: int) -> Label:
    """Code that, with the number in `A`, ends in the decision of its stretch."""
    if len(stretches) == 1:
        return _outcome(assembler, stretches[0][1], bits)
    middle = len(stretches) // 2
    above = _search(assembler, stretches[middle:], bits)
    below = _search(assembler, stretches[:middle], bits)
    return assembler.jump(bpf.GE, stretches[middle][0], above, below)


def _outcome(assembler: Assembler, decision: Decision, bits: int) -> Label:
    code = assembler.ret(decision.otherwise)
    for rule in reversed(decision.rules):
        holds = assembler.ret(rule.value)
        for arg in reversed(rule.args):
            holds = _compare(assembler, arg, bits, holds, code)
        code = holds
    return code


def _compare(assembler: Assembler, arg: LinuxSeccompArg, bits: int, yes: Label, no: Label) -> Label:
    """Code that goes on at `yes` if the comparison holds, else at `no`."""
    if arg.op in ("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE"):
        yes, no = no, yes  # not EQ, not GE, not GT
    low = _ARGUMENTS + 8 * arg.index
    high = low + 4
    if arg.op in ("SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ"):
        mask, value = (1 << 64) - 1, arg.value
        if arg.op == "SCMP_CMP_MASKED_EQ":
            mask, value = arg.value, arg.value_two & arg.value
        code = _equal_half(assembler, low, mask & _HALF, value & _HALF, yes, no)
        if bits == 32:
            return code
        return _equal_half(assembler, high, mask >> 32, value >> 32, code, no)
    if bits == 32 and arg.value > _HALF:
        return no  # no argument is as large
    test = bpf.GE if arg.op in ("SCMP_CMP_GE", "SCMP_CMP_LT") else bpf.GT
    code = assembler.load(low, assembler.jump(test, arg.value & _HALF, yes, no))
    if bits == 32:
        return code
    equal = assembler.jump(bpf.EQ, arg.value >> 32, code, no)
    return assembler.load(high, assembler.jump(bpf.GT, arg.value >> 32, yes, equal))


def _equal_half(
    assembler: Assembler, offset: int, mask: int, value: int, yes: Label, no: Label
) -> Label:
    """Code for one half of `argument & mask == value`; none for a half the mask leaves out."""
    if mask == 0:
        return yes
    if mask == _HALF:
        return assembler.load(offset, assembler.jump(bpf.EQ, value, yes, no))
    if value == 0:
        return assembler.load(offset, assembler.jump(bpf.SET, mask, no, yes))
    masked = assembler.mask(mask, assembler.jump(bpf.EQ, value, yes, no))
    return assembler.load(offset, masked)
