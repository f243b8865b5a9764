"""Limits as files: what to write where, for v1 and v2, and which limits this machine lacks."""

from __future__ import annotations

from ...oci.runtime import LinuxCPU, LinuxMemory, Resources
from .hierarchies import Hierarchies

Files = list[tuple[str, str]]
"""Name and content, in the order they are to be written."""


def wanted(resources: Resources | None) -> dict[str, str]:
    """The controllers these limits need, each with the option that asked for it."""
    result = {}
    if resources and resources.memory and resources.memory.limit is not None:
        result["memory"] = "--memory"
    if resources and resources.cpu and resources.cpu.quota is not None:
        result["cpu"] = "--cpus"
    if resources and resources.pids:
        result["pids"] = "--pids-limit"
    return result


def unknown(resources: Resources | None) -> list[str]:
    """The options behind limits that are not applied yet."""
    memory = (resources and resources.memory) or LinuxMemory()
    cpu = (resources and resources.cpu) or LinuxCPU()
    given = {
        "--memory-reservation": memory.reservation is not None,
        "--memory-swappiness": memory.swappiness is not None,
        "--memory-swap": memory.swap is not None and memory.limit is None,
        "--cpu-shares": cpu.shares is not None,
        "--cpu-period": cpu.period is not None and cpu.quota is None,
        "--cpuset-cpus": bool(cpu.cpus),
        "--cpuset-mems": bool(cpu.mems),
    }
    return [option for option, is_given in given.items() if is_given]


def files(controller: str, resources: Resources, hierarchies: Hierarchies) -> Files:
    """What to write for `controller` where it lives."""
    v1 = controller in hierarchies.v1
    if controller == "memory" and resources.memory:
        return _memory_v1(resources.memory) if v1 else _memory_v2(resources.memory)
    if controller == "cpu" and resources.cpu:
        return _cpu_v1(resources.cpu) if v1 else _cpu_v2(resources.cpu)
    if controller == "pids" and resources.pids:
        return [("pids.max", str(resources.pids.limit) if resources.pids.limit > 0 else "max")]
    return []


def _memory_v1(memory: LinuxMemory) -> Files:
    result = [("memory.limit_in_bytes", str(memory.limit))]
    if memory.swap is not None:
        # Memory and swap together; the kernel wants it at least as large, hence after the limit.
        result.append(("memory.memsw.limit_in_bytes", str(memory.swap)))
    return result


def _memory_v2(memory: LinuxMemory) -> Files:
    result = [("memory.max", str(memory.limit))]
    if memory.swap is not None and memory.limit is not None:
        # runtime-spec counts memory and swap together, v2 swap alone.
        swap = str(memory.swap - memory.limit) if memory.swap >= 0 else "max"
        result.append(("memory.swap.max", swap))
    return result


def _cpu_v1(cpu: LinuxCPU) -> Files:
    return [
        ("cpu.cfs_period_us", str(cpu.period or 100_000)),
        ("cpu.cfs_quota_us", str(cpu.quota)),
    ]


def _cpu_v2(cpu: LinuxCPU) -> Files:
    quota = str(cpu.quota) if cpu.quota and cpu.quota > 0 else "max"
    return [("cpu.max", f"{quota} {cpu.period or 100_000}")]
