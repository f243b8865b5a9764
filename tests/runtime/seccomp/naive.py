"""What a profile answers to one call, read straight from the document: slow, and plain to check."""

from __future__ import annotations

from pydock_engine.oci.seccomp import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from pydock_engine.runtime.seccomp.numbers import X32_BIT, Abi, abis_of, tables
from pydock_engine.runtime.seccomp.simulate import Call

# seccomp(2), strictest first: the order in which the kernel prefers actions.
STRICTEST_FIRST = {
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
KILL_PROCESS = 0x80000000
ENOSYS = 0x00050000 | 38
WITH_DATA = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
LETS_PASS = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")


def expected(seccomp: LinuxSeccomp, machine: str, call: Call) -> int:
    abi = abi_of_call(seccomp, machine, call)
    if isinstance(abi, int):
        return abi
    number = call.number - abi.first
    table = tables()[abi.column]
    default = value_of(seccomp.default_action, seccomp.default_errno_ret)
    listed = {table[name] for rule in seccomp.syscalls for name in rule.names if name in table}
    ordinary = [one for one in listed if one < 0x0F0000]
    if number not in listed:
        newer = bool(ordinary) and number > max(ordinary)
        return ENOSYS if newer and seccomp.default_action not in LETS_PASS else default
    rules = [
        rule
        for rule in seccomp.syscalls
        if any(table.get(name) == number for name in rule.names)
        and value_of(rule.action, rule.errno_ret) != default
    ]
    for rule in rules:
        if not rule.args:
            return value_of(rule.action, rule.errno_ret)
    matching = [rule for rule in rules if matches(rule, abi, call)]
    order = list(STRICTEST_FIRST)
    matching.sort(key=lambda rule: order.index(rule.action.replace("ACT_KILL_THREAD", "ACT_KILL")))
    return value_of(matching[0].action, matching[0].errno_ret) if matching else default


def abi_of_call(seccomp: LinuxSeccomp, machine: str, call: Call) -> Abi | int:
    """Whose numbers the call uses, or what the filter returns for an ABI that is not listed."""
    native, *others = abis_of(machine)
    covered = [native, *(abi for abi in others if abi.architecture in seccomp.architectures)]
    of_arch = [abi for abi in covered if abi.audit == call.arch]
    if not of_arch:
        return KILL_PROCESS
    if of_arch[0].column == "x86_64" and call.number >= X32_BIT:
        return of_arch[1] if len(of_arch) == 2 else ENOSYS
    return of_arch[0]


def value_of(action: str, errno_ret: int | None) -> int:
    data = (1 if errno_ret is None else errno_ret) if action in WITH_DATA else 0
    return STRICTEST_FIRST[action] | data


def matches(rule: LinuxSyscall, abi: Abi, call: Call) -> bool:
    results = [holds(arg, abi, call) for arg in rule.args]
    indexes = [arg.index for arg in rule.args]
    return any(results) if len(set(indexes)) < len(indexes) else all(results)


def holds(arg: LinuxSeccompArg, abi: Abi, call: Call) -> bool:
    actual = call.args[arg.index] if arg.index < len(call.args) else 0
    bits = (1 << abi.argument_bits) - 1
    actual &= bits
    match arg.op:
        case "SCMP_CMP_EQ":
            return actual == arg.value & bits
        case "SCMP_CMP_NE":
            return actual != arg.value & bits
        case "SCMP_CMP_MASKED_EQ":
            return actual & arg.value & bits == arg.value_two & arg.value & bits
        case "SCMP_CMP_LT":
            return actual < arg.value
        case "SCMP_CMP_LE":
            return actual <= arg.value
        case "SCMP_CMP_GT":
            return actual > arg.value
        case "SCMP_CMP_GE":
            return actual >= arg.value
