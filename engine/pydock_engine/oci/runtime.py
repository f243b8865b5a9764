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


class LinuxCPU(Document, frozen=True, kw_only=True, rename="camel"):
    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    cpus: str = ""
    mems: str = ""


class LinuxPids(Document, frozen=True, kw_only=True, rename="camel"):
    limit: int


class DeviceRule(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


class Resources(Document, frozen=True, kw_only=True, rename="camel"):
    memory: LinuxMemory | None = None
    cpu: LinuxCPU | None = None
    pids: LinuxPids | None = None
    devices: tuple[DeviceRule, ...] = ()


class Linux(Document, frozen=True, kw_only=True, rename="camel"):
    namespaces: tuple[Namespace, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    resources: Resources | None = None
    cgroups_path: str = ""
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    rootfs_propagation: str = ""
    seccomp: LinuxSeccomp | None = None
    sysctl: dict[str, str] = {}


class Spec(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    oci_version: str = "1.2.0"
    process: Process
    root: Root
    hostname: str = ""
    mounts: tuple[Mount, ...] = ()
    linux: Linux = Linux()
    annotations: dict[str, str] = {}
