"""What a profile says about each system call number of one ABI.

Where several rules name the same call, and the specification is silent:

- a rule whose action is the default action says nothing (runc leaves it out);
- a rule without arguments stands above those with some, the first of its kind wins (libseccomp);
- of rules with arguments that hold at the same time, the strictest wins, in the order the kernel
  uses between filters (seccomp(2)); of equally strict ones the first;
- a rule that compares one argument twice is as many rules, one for each comparison (runc).

A name that the ABI has no number for is left out: profiles list the calls of many kernels and
machines. `unknown_names` tells which ones no table has at all.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ... import errors
from ...oci.seccomp import Action, LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from .numbers import ARM_PRIVATE, Abi, tables

# linux/seccomp.h, SECCOMP_RET_*
KILL_PROCESS: Final = 0x80000000
ERRNO: Final = 0x00050000
_VALUES: Final[dict[Action, int]] = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_LARGEST_DATA: Final = {"SCMP_ACT_ERRNO": 4095, "SCMP_ACT_TRACE": 0xFFFF}  # MAX_ERRNO; 16 bits
_PERMISSIVE: Final = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
ENOSYS: Final = ERRNO | errno.ENOSYS


@dataclass(frozen=True, slots=True)
class Rule:
    """All of `args` hold: the filter returns `value`."""

    args: tuple[LinuxSeccompArg, ...]
    value: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The value of the first of `rules` that holds, else `otherwise`."""

    otherwise: int
    rules: tuple[Rule, ...] = ()


def return_value(action: Action, errno_ret: int | None) -> int:
    """What the filter returns for `action`: SECCOMP_RET_* with its data.

    Raises Unsupported for SCMP_ACT_NOTIFY, UsageError for an `errno_ret` the action cannot have.
    """
    if action == "SCMP_ACT_NOTIFY":
        raise errors.Unsupported(
            "seccomp profiles with SCMP_ACT_NOTIFY are not supported",
            way_out="use SCMP_ACT_ERRNO, or run with --runtime crun",
        )
    largest = _LARGEST_DATA.get(action, -1)
    if errno_ret is None:
        errno_ret = errno.EPERM if largest > 0 else 0
    elif not 0 <= errno_ret <= largest:
        raise errors.UsageError(f"errnoRet {errno_ret} is not possible with {action}")
    return _VALUES[action] | errno_ret


def decisions(seccomp: LinuxSeccomp, abi: Abi) -> Iterator[tuple[int, Decision]]:
    """Stretches of system call numbers: where each begins, and what holds up to the next.

    The first begins at `abi.first`; each decision differs from the one before it. Numbers above
    the highest one that the profile names are new to it: a call of theirs that would be denied
    fails with ENOSYS, so that programs fall back to an older one instead of giving up (runc).
    """
    default = return_value(seccomp.default_action, seccomp.default_errno_ret)
    by_number = _rules_by_number(seccomp, abi)
    last = max((number for number in by_number if number < ARM_PRIVATE), default=None)
    known = Decision(default)
    newer = known
    if last is not None and seccomp.default_action not in _PERMISSIVE:
        newer = Decision(ENOSYS)
    points = {0: known}
    for number in sorted(by_number):
        points[number] = _decide(by_number[number], default)
        points[number + 1] = newer if last is not None and number >= last else known
    previous = None
    for number in sorted(points):
        if points[number] != previous:
            previous = points[number]
            yield abi.first + number, previous


def unknown_names(seccomp: LinuxSeccomp) -> tuple[str, ...]:
    """Names in the profile that no table here has: misspelt, or of another architecture."""
    known = set().union(*tables().values())
    named = dict.fromkeys(name for syscall in seccomp.syscalls for name in syscall.names)
    return tuple(name for name in named if name not in known)


def _rules_by_number(seccomp: LinuxSeccomp, abi: Abi) -> dict[int, list[Rule]]:
    table = tables()[abi.column]
    found: defaultdict[int, list[Rule]] = defaultdict(list)
    for syscall in seccomp.syscalls:
        rules = _rules_of(syscall)
        for name in syscall.names:
            if name in table:
                found[table[name]] += rules
    return found


def _rules_of(syscall: LinuxSyscall) -> list[Rule]:
    value = return_value(syscall.action, syscall.errno_ret)
    for arg in syscall.args:
        _check(arg)
    if len({arg.index for arg in syscall.args}) < len(syscall.args):
        return [Rule((arg,), value) for arg in syscall.args]
    return [Rule(syscall.args, value)]


def _check(arg: LinuxSeccompArg) -> None:
    if not 0 <= arg.index <= 5:
        raise errors.UsageError(f"seccomp: a system call has no argument {arg.index}")
    for value in (arg.value, arg.value_two):
        if not 0 <= value < 1 << 64:
            raise errors.UsageError(f"seccomp: {value} does not fit an argument of 64 bits")


def _decide(rules: list[Rule], default: int) -> Decision:
    said = [rule for rule in rules if rule.value != default]
    for rule in said:
        if not rule.args:
            return Decision(rule.value)
    return Decision(default, tuple(sorted(said, key=_strictness)))


def _strictness(rule: Rule) -> int:
    """Smaller is stricter: the action as the signed number the kernel compares."""
    action = rule.value & 0xFFFF0000
    return action - (1 << 32) if action & KILL_PROCESS else action
