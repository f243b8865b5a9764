"""Resources of runtime-spec as files of control groups, in the order they are to be written.

A value of zero (and for most, below) means "leave it alone": that is how docker and podman say it.
Source: runtime-spec config-linux.md, "Control groups"; the kernel's admin-guide/cgroup-v1 and -v2.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...oci.runtime import LinuxBlockIO, LinuxCPU, LinuxMemory, Resources, ThrottledDevice

Files = Iterator[tuple[str, str, str]]
"""Controller, file, content."""


def files_v1(resources: Resources) -> Files:
    if memory := resources.memory:
        yield from _memory_v1(memory)
    if cpu := resources.cpu:
        yield from _cpu_v1(cpu)
        yield from _cpuset(cpu)
    yield from _pids(resources)
    if block := resources.block_io:
        if block.weight:
            yield "blkio", "blkio.weight", str(block.weight)
        for kind, devices in _throttled(block):
            for device in devices:
                yield "blkio", f"blkio.throttle.{kind}_device", _device(device, device.rate)
    for huge in resources.hugepage_limits:
        yield "hugetlb", f"hugetlb.{huge.page_size}.limit_in_bytes", str(huge.limit)


def files_v2(resources: Resources) -> Files:
    if memory := resources.memory:
        yield from _memory_v2(memory)
    if cpu := resources.cpu:
        yield from _cpu_v2(cpu)
        yield from _cpuset(cpu)
    yield from _pids(resources)
    if block := resources.block_io:
        if block.weight:
            # 10 to 1000 there, 1 to 10000 here: runc's straight line.
            yield "io", "io.weight", str(1 + (block.weight - 10) * 9999 // 990)
        words = {
            "read_bps": "rbps",
            "write_bps": "wbps",
            "read_iops": "riops",
            "write_iops": "wiops",
        }
        for kind, devices in _throttled(block):
            for device in devices:
                yield "io", "io.max", _device(device, f"{words[kind]}={device.rate}")
    for huge in resources.hugepage_limits:
        yield "hugetlb", f"hugetlb.{huge.page_size}.max", str(huge.limit)
    for name, value in resources.unified.items():
        yield name.partition(".")[0], name, value


def _memory_v1(memory: LinuxMemory) -> Files:
    if memory.limit:
        yield "memory", "memory.limit_in_bytes", str(memory.limit)
    if memory.swap:
        yield "memory", "memory.memsw.limit_in_bytes", str(memory.swap)
    if memory.reservation:
        yield "memory", "memory.soft_limit_in_bytes", str(memory.reservation)
    if memory.swappiness is not None and 0 <= memory.swappiness <= 100:
        yield "memory", "memory.swappiness", str(memory.swappiness)
    if memory.disable_oom_killer:
        yield "memory", "memory.oom_control", "1"


def _memory_v2(memory: LinuxMemory) -> Files:
    if memory.limit:
        yield "memory", "memory.max", _or_max(memory.limit)
    if memory.swap:
        # Counted with the memory there, alone here.
        alone = memory.swap - max(memory.limit or 0, 0)
        yield "memory", "memory.swap.max", "max" if memory.swap < 0 else str(alone)
    if memory.reservation:
        yield "memory", "memory.low", _or_max(memory.reservation)


def _cpu_v1(cpu: LinuxCPU) -> Files:
    if cpu.shares:
        yield "cpu", "cpu.shares", str(cpu.shares)
    if cpu.period:
        yield "cpu", "cpu.cfs_period_us", str(cpu.period)
    if cpu.quota:
        yield "cpu", "cpu.cfs_quota_us", str(cpu.quota)
    if cpu.burst:
        yield "cpu", "cpu.cfs_burst_us", str(cpu.burst)
    if cpu.realtime_period:
        yield "cpu", "cpu.rt_period_us", str(cpu.realtime_period)
    if cpu.realtime_runtime:
        yield "cpu", "cpu.rt_runtime_us", str(cpu.realtime_runtime)
    if cpu.idle is not None:
        yield "cpu", "cpu.idle", str(cpu.idle)


def _cpu_v2(cpu: LinuxCPU) -> Files:
    if cpu.shares:
        yield "cpu", "cpu.weight", str(1 + (cpu.shares - 2) * 9999 // 262142)
    if cpu.quota or cpu.period:
        quota = str(cpu.quota) if cpu.quota and cpu.quota > 0 else "max"
        yield "cpu", "cpu.max", f"{quota} {cpu.period or 100_000}"
    if cpu.burst:
        yield "cpu", "cpu.max.burst", str(cpu.burst)
    if cpu.idle is not None:
        yield "cpu", "cpu.idle", str(cpu.idle)


def _cpuset(cpu: LinuxCPU) -> Files:
    if cpu.cpus:
        yield "cpuset", "cpuset.cpus", cpu.cpus
    if cpu.mems:
        yield "cpuset", "cpuset.mems", cpu.mems


def _pids(resources: Resources) -> Files:
    if resources.pids and resources.pids.limit:
        yield "pids", "pids.max", _or_max(resources.pids.limit)


def _throttled(block: LinuxBlockIO) -> Iterator[tuple[str, tuple[ThrottledDevice, ...]]]:
    yield "read_bps", block.throttle_read_bps_device
    yield "write_bps", block.throttle_write_bps_device
    yield "read_iops", block.throttle_read_iops_device
    yield "write_iops", block.throttle_write_iops_device


def _device(device: ThrottledDevice, value: object) -> str:
    return f"{device.major}:{device.minor} {value}"


def _or_max(value: int) -> str:
    return str(value) if value > 0 else "max"
