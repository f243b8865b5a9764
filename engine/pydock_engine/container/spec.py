"""From a plan to a runtime-spec document: Docker's defaults, the image's wishes, the options.

Pure: what has to be looked up (the user, the id maps, the level) comes in as arguments.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable

from ..errors import UsageError
from ..oci.runtime import (
    Capabilities,
    IdMapping,
    Linux,
    LinuxCPU,
    LinuxMemory,
    LinuxPids,
    Mount,
    Namespace,
    Process,
    Resources,
    Root,
    Spec,
    User,
)
from ..paths import ContainerPaths
from ..runtime.capabilities import DEFAULT as DEFAULT_CAPABILITIES
from ..runtime.idmap import holds
from . import defaults
from .options import BindMount, RunOptions
from .plan import Plan
from .seccomp import profile_for
from .user import ResolvedUser

MIN_MEMORY_BYTES = 6 * 1024 * 1024
"""Docker's: below, not even the runtime's own start fits."""
CPU_PERIOD_US = 100_000

Mappings = tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]]
"""Of uids and of gids."""


def make_spec(
    plan: Plan, *, paths: ContainerPaths, user: ResolvedUser, mappings: Mappings, idmapped: bool
) -> Spec:
    """The document init is made from.

    Parameters
    ----------
    user
        The plan's user, resolved in the mounted root.
    mappings
        Of the container's user namespace; two empty ones for the host's.
    idmapped
        Show bind mounts with the container's ids (level root with a user namespace).

    Raises UsageError for a relative target, a limit out of range, a profile that is none.
    """
    options = plan.record.options
    return Spec(
        process=_process(plan, user, mappings[1]),
        root=Root(path=str(paths.rootfs), readonly=options.read_only),
        hostname=hostname(plan),
        mounts=tuple(_mounts(plan, paths, mappings, idmapped)),
        linux=Linux(
            namespaces=tuple(Namespace(type=name) for name in namespaces(options, mappings)),
            uid_mappings=mappings[0],
            gid_mappings=mappings[1],
            resources=resources(options),
            cgroups_path=f"/pydock/{plan.record.id}",
            masked_paths=defaults.MASKED_PATHS,
            readonly_paths=defaults.READONLY_PATHS,
            seccomp=profile_for(options.seccomp, DEFAULT_CAPABILITIES),
        ),
        annotations=dict(options.labels),
    )


def namespaces(options: RunOptions, mappings: Mappings) -> tuple[str, ...]:
    """Runtime-spec names of the namespaces of its own this container gets."""
    names = ["pid", "ipc", "uts", "mount", "cgroup"]
    if options.network != "host":
        names.append("network")
    if mappings[0]:
        names.append("user")
    return tuple(names)


def hostname(plan: Plan) -> str:
    """As docker: what was asked for, the host's own on the host's network, else the short id."""
    options = plan.record.options
    if options.hostname:
        return options.hostname
    return os.uname().nodename if options.network == "host" else plan.record.id[:12]


def resources(options: RunOptions) -> Resources | None:
    """The limits asked for, or None. Memory counts twice with swap, as docker has it."""
    memory = cpu = pids = None
    if options.memory_bytes:
        if options.memory_bytes < MIN_MEMORY_BYTES:
            raise UsageError(f"--memory {options.memory_bytes}: the least is 6m")
        memory = LinuxMemory(limit=options.memory_bytes, swap=2 * options.memory_bytes)
    if options.cpus:
        available = os.cpu_count() or 1
        if not 0.01 <= options.cpus <= available:
            raise UsageError(f"--cpus {options.cpus}: from 0.01 to {available} on this machine")
        cpu = LinuxCPU(quota=round(options.cpus * CPU_PERIOD_US), period=CPU_PERIOD_US)
    if options.pids_limit and options.pids_limit > 0:  # docker: 0 and -1 mean no limit
        pids = LinuxPids(limit=options.pids_limit)
    if memory is None and cpu is None and pids is None:
        return None
    return Resources(memory=memory, cpu=cpu, pids=pids)


def _process(plan: Plan, user: ResolvedUser, gid_mappings: tuple[IdMapping, ...]) -> Process:
    options, config = plan.record.options, plan.image_config
    # Groups the image lists its user in, as far as they exist here (rootless-single has one).
    groups = tuple(gid for gid in user.additional_gids if holds(gid_mappings, gid))
    # A user other than root keeps none across execve; only what it may regain stays bounded.
    held = DEFAULT_CAPABILITIES if user.uid == 0 else ()
    return Process(
        args=plan.record.command,
        cwd=_absolute(options.workdir or config.working_dir or "/", "--workdir"),
        env=_environment(plan, user),
        user=User(uid=user.uid, gid=user.gid, additional_gids=groups),
        capabilities=Capabilities(
            bounding=DEFAULT_CAPABILITIES, effective=held, permitted=held, inheritable=()
        ),
        no_new_privileges=options.no_new_privileges,
    )


def _environment(plan: Plan, user: ResolvedUser) -> tuple[str, ...]:
    """Defaults, then the image's, then the plan's, then the options'; later ones win."""
    merged = {"PATH": defaults.PATH, "HOSTNAME": hostname(plan)}
    entries = (*(plan.image_config.env or ()), *plan.extra_env, *plan.record.options.env)
    for entry in entries:
        name, _, value = entry.partition("=")
        merged[name] = value
    merged.setdefault("HOME", user.home)
    return tuple(f"{name}={value}" for name, value in merged.items())


def _mounts(
    plan: Plan, paths: ContainerPaths, mappings: Mappings, idmapped: bool
) -> Iterable[Mount]:
    options = plan.record.options
    yield defaults.PROC
    yield defaults.DEV
    yield defaults.devpts(with_tty_group=holds(mappings[1], 5))
    yield defaults.HOST_SYS if options.network == "host" else defaults.SYS
    yield defaults.CGROUP
    yield defaults.MQUEUE
    yield defaults.SHM
    for name in ("resolv.conf", "hostname", "hosts"):
        yield _bind(BindMount(source=str(paths.base / name), target=f"/etc/{name}"), idmapped)
    for folder in plan.site_packages:
        yield _bind(BindMount(source=folder, target=folder, read_only=True), idmapped)
    # Outer places before inner ones, or the outer mount would hide what is in it.
    asked = [_tmpfs(text) for text in options.tmpfs]
    asked += [_bind(volume, idmapped) for volume in options.volumes]
    yield from sorted(asked, key=lambda mount: mount.destination.count("/"))


def _bind(volume: BindMount, idmapped: bool) -> Mount:
    options = ["rbind", "nodev", "ro" if volume.read_only else "rw", "rprivate"]
    return Mount(
        destination=_absolute(volume.target, "--volume"),
        type="bind",
        source=volume.source,
        options=tuple(options + (["ridmap"] if idmapped else [])),
    )


def _tmpfs(text: str) -> Mount:
    target, _, words = text.partition(":")
    asked = tuple(word for word in words.split(",") if word)
    return Mount(
        destination=_absolute(target, "--tmpfs"),
        type="tmpfs",
        source="tmpfs",
        options=(*defaults.TMPFS_OPTIONS, *asked),
    )


def _absolute(path: str, flag: str) -> str:
    if not path.startswith("/"):
        raise UsageError(f"{flag} {path}: a place in the container must be absolute")
    normal = posixpath.normpath("/" + path.lstrip("/"))
    if normal == "/" and flag != "--workdir":
        raise UsageError(f"{flag} {path}: the root itself cannot be mounted over")
    return normal
