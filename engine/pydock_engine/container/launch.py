"""From a plan to a created container: what the monitor calls, in its own mount namespace."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from ..errors import ProtocolError, SyscallError, Unsupported, disk_error
from ..oci.runtime import Spec
from ..paths import ContainerPaths, Paths
from ..runtime.cgroups.group import Cgroup, find_group
from ..runtime.create import InitProcess, Stdio, clone_init
from ..runtime.idmap import identity_mapping, slot_mapping
from ..snapshot.overlay import clear_scratch, mount_overlay
from . import netfiles
from .plan import Plan
from .seccomp import UNCONFINED
from .spec import Mappings, make_spec, namespaces, resources
from .user import resolve_user


@dataclass(frozen=True)
class Launched:
    """A container that only waits for `init.start()`."""

    init: InitProcess
    """`.pid`, `.pidfd`, `.start()`, `.send_signal(n)`, `.kill()`, `.close()`."""
    spec: Spec
    """As written to `ContainerPaths.config`."""
    cgroup: Cgroup
    """`.oom_kills() -> int`, `.kill()` everything inside, `.remove()` after the end."""
    isolation: str
    """The level, with what is weaker than usual: `root`, `root, userns host`, `rootless`, …"""
    not_applied: tuple[str, ...]


def launch(plan: Plan, *, paths: Paths, level: str, stdio: Stdio) -> Launched:
    """Mounts the root, resolves the user, writes config.json, puts limits in place, creates init.

    To be called by a single-threaded process that has a mount namespace of its own (rslave).
    Nothing of it is left in that namespace. On failure init is dead and reaped, the groups are
    removed and the error is raised (UsageError, Unsupported, StoreError, SyscallError). A missing
    program is told by `init.start()`.

    Parameters
    ----------
    level
        `root`, `rootless` or `rootless-single`.
    stdio
        Stays the caller's; close the container's ends after this returns.
    """
    options = plan.record.options
    mappings = _mappings(plan, level)
    cgroup = find_group(plan.record.id)
    not_applied = cgroup.create(resources(options), best_effort=options.best_effort)
    try:
        init = clone_init(
            namespaces(options, mappings),
            uid_mappings=mappings[0],
            gid_mappings=mappings[1],
            stdio=stdio,
            cgroup=cgroup,
        )
        spec = _create(init, plan, paths, level, mappings)
    except BaseException:
        cgroup.remove()
        raise
    return Launched(init, spec, cgroup, _isolation(level, mappings, options.seccomp), not_applied)


def _create(init: InitProcess, plan: Plan, paths: Paths, level: str, mappings: Mappings) -> Spec:
    container = paths.container(plan.record.id)
    try:
        rootfs_fd = _mount_root(init, plan, paths, container, level)
        try:
            user = resolve_user(rootfs_fd, plan.record.options.user or plan.image_config.user)
            spec = make_spec(
                plan,
                paths=container,
                user=user,
                mappings=mappings,
                idmapped=level == "root" and init.userns is not None,
            )
            _write_files(container, spec, plan)
        except BaseException:
            os.close(rootfs_fd)
            raise
        meanwhile = None
        if _covers_scratch(plan, container):
            clear_scratch(container.rootfs)  # or the bind would take its mounts along
        else:
            meanwhile = partial(clear_scratch, container.rootfs)
        init.create(spec, rootfs_fd=rootfs_fd, meanwhile=meanwhile)
    except BaseException:
        init.discard()
        with contextlib.suppress(SyscallError):  # it may not have come to that
            clear_scratch(container.rootfs)
        raise
    return spec


def _covers_scratch(plan: Plan, container: ContainerPaths) -> bool:
    """Whether a bind's source (`/run`, `/`) holds the folder the overlay was put together in."""
    sources = [os.path.realpath(volume.source) for volume in plan.record.options.volumes]
    scratch = Path(os.path.realpath(container.rootfs))
    return any(scratch.is_relative_to(source) for source in sources)


def _mappings(plan: Plan, level: str) -> Mappings:
    if level != "root":
        if plan.record.options.userns == "host":
            raise Unsupported(
                f"--userns host at level {level}", way_out="leave it out, or run as root"
            )
        return identity_mapping("uid"), identity_mapping("gid")
    if plan.record.options.userns == "host":
        return (), ()
    if plan.record.userns_slot < 0:
        raise ProtocolError(f"container {plan.record.name} was given no range of ids")
    own = slot_mapping(plan.record.userns_slot)
    return own, own


def _isolation(level: str, mappings: Mappings, seccomp: str | None) -> str:
    weaker = [] if mappings[0] else ["userns host"]
    if seccomp == UNCONFINED:
        weaker.append("seccomp unconfined")
    return ", ".join([level, *weaker])


def _mount_root(
    init: InitProcess, plan: Plan, paths: Paths, container: ContainerPaths, level: str
) -> int:
    container.rootfs.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = f"{paths.layers}/"
    layers = [f"{paths.layer(chain)}/diff".removeprefix(prefix) for chain in plan.lower]
    return mount_overlay(
        paths.layers,
        layers,
        container.snapshot,
        scratch=container.rootfs,
        userns=init.userns if level == "root" else None,
        userxattr=level != "root",
    )


def _write_files(container: ContainerPaths, spec: Spec, plan: Plan) -> None:
    document = msgspec.json.format(msgspec.json.encode(spec), indent=2)
    files = netfiles.contents(spec.hostname, plan.record.options.network)
    try:
        for name, content in files.items():
            _write(container.base / name, content.encode(), 0o644)
        _write(container.config, document, 0o600)
    except OSError as error:
        raise disk_error(error, container.base) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    """Not atomic: both are derived, and written anew at every start."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        os.fchmod(fd, mode)
