"""The document of OCI runtime-spec 1.2 (`config.json`), Linux part.

Source: runtime-spec config.md and config-linux.md. Field names are the specification's.
"""

from __future__ import annotations

import msgspec

from .image import Document
from .seccomp import LinuxSeccomp


class User(Document, frozen=True, kw_only=True, rename="camel"):
    uid: int = 0
    gid: int = 0
    umask: int | None = None
    additional_gids: tuple[int, ...] = ()


class Capabilities(Document, frozen=True, kw_only=True, rename="camel"):
    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class Rlimit(Document, frozen=True, kw_only=True, rename="camel"):
    type: str
    hard: int
    soft: int


class ConsoleSize(Document, frozen=True, kw_only=True, rename="camel"):
    height: int = 0
    width: int = 0


class Process(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    args: tuple[str, ...]
    cwd: str = "/"
    env: tuple[str, ...] = ()
    user: User = User()
    terminal: bool = False
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    console_size: ConsoleSize | None = None


class Root(Document, frozen=True, kw_only=True, rename="camel"):
    path: str
    readonly: bool = False


class Mount(Document, frozen=True, kw_only=True, rename="camel"):
    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()


class Namespace(Document, frozen=True, kw_only=True, rename="camel"):
    type: str
    path: str = ""


class IdMapping(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    container_id: int = msgspec.field(name="containerID")
    host_id: int = msgspec.field(name="hostID")
    size: int = 1


class LinuxMemory(Document, frozen=True, kw_only=True, rename="camel"):
    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    swappiness: int | None = None
    disable_oom_killer: bool = msgspec.field(name="disableOOMKiller", default=False)
    use_hierarchy: bool = False
    check_before_update: bool = False


class LinuxCPU(Document, frozen=True, kw_only=True, rename="camel"):
    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    burst: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class LinuxPids(Document, frozen=True, kw_only=True, rename="camel"):
    limit: int


class DeviceRule(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


class ThrottledDevice(Document, frozen=True, kw_only=True, rename="camel"):
    major: int
    minor: int
    rate: int = 0
    """Bytes or operations a second."""
    weight: int | None = None


class LinuxBlockIO(Document, frozen=True, kw_only=True, rename="camel"):
    weight: int | None = None
    weight_device: tuple[ThrottledDevice, ...] = ()
    throttle_read_bps_device: tuple[ThrottledDevice, ...] = ()
    throttle_write_bps_device: tuple[ThrottledDevice, ...] = ()
    throttle_read_iops_device: tuple[ThrottledDevice, ...] = msgspec.field(
        name="throttleReadIOPSDevice", default=()
    )
    throttle_write_iops_device: tuple[ThrottledDevice, ...] = msgspec.field(
        name="throttleWriteIOPSDevice", default=()
    )


class HugepageLimit(Document, frozen=True, kw_only=True, rename="camel"):
    page_size: str
    limit: int


class Resources(Document, frozen=True, kw_only=True, rename="camel"):
    memory: LinuxMemory | None = None
    cpu: LinuxCPU | None = None
    pids: LinuxPids | None = None
    block_io: LinuxBlockIO | None = msgspec.field(name="blockIO", default=None)
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    devices: tuple[DeviceRule, ...] = ()
    unified: dict[str, str] = {}


class Device(Document, frozen=True, kw_only=True, rename="camel"):
    """A node in the container; `type` is c, u, b or p, `file_mode` the permission bits."""

    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    uid: int = 0
    gid: int = 0


class TimeOffset(Document, frozen=True, kw_only=True, rename="camel"):
    secs: int = 0
    nanosecs: int = 0


class Linux(Document, frozen=True, kw_only=True, rename="camel"):
    namespaces: tuple[Namespace, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    time_offsets: dict[str, TimeOffset] = {}
    devices: tuple[Device, ...] = ()
    resources: Resources | None = None
    cgroups_path: str = ""
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    rootfs_propagation: str = ""
    seccomp: LinuxSeccomp | None = None
    sysctl: dict[str, str] = {}


class Hook(Document, frozen=True, kw_only=True, rename="camel"):
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] | None = None
    timeout: int | None = None
    """Seconds."""


class Hooks(Document, frozen=True, kw_only=True, rename="camel"):
    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


class Spec(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    oci_version: str = "1.2.0"
    process: Process
    root: Root
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    linux: Linux = Linux()
    hooks: Hooks = Hooks()
    annotations: dict[str, str] = {}
