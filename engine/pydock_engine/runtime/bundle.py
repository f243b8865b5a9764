"""The runtime's second door: a bundle (a folder with config.json), as runc has it.

What a document asks for beyond what this runtime does is refused, never left out.
Source: runtime-spec bundle.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from ..errors import Unsupported, UsageError
from ..oci.runtime import Spec
from . import syscalls
from .cgroups.group import find_group
from .create import InitProcess, Stdio, clone_init
from .filesystems import clone_tree

MAX_CONFIG_BYTES = 4 * 1024 * 1024


def load_spec(bundle: Path) -> Spec:
    """The bundle's config.json. Raises UsageError when it is not one, Unsupported for a field
    that this runtime does not know (naming it).
    """
    path = bundle / "config.json"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise UsageError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes")
    try:
        spec = msgspec.json.decode(data, type=Spec)
        raw = msgspec.json.decode(data)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path} is no runtime-spec document: {error}") from error
    if unknown := _unknown_field(raw, msgspec.json.decode(msgspec.json.encode(spec))):
        raise Unsupported(f"{path}: {unknown} is not supported")
    if not spec.process.args:
        raise UsageError(f"{path}: process.args is empty")
    return spec


def create_bundle(bundle: Path, container_id: str, *, stdio: Stdio) -> InitProcess:
    """A created container of `bundle`; as `clone_init` and `InitProcess.create` in one.

    Raises what those do; init is then dead and reaped, and its groups are gone.
    """
    spec = load_spec(bundle)
    cgroup = find_group(container_id)
    cgroup.create(spec.linux.resources, best_effort=False)
    try:
        init = clone_init(
            [namespace.type for namespace in spec.linux.namespaces],
            uid_mappings=spec.linux.uid_mappings,
            gid_mappings=spec.linux.gid_mappings,
            stdio=stdio,
            cgroup=cgroup,
        )
        try:
            rootfs_fd = clone_tree(str(bundle / spec.root.path), recursive=True)
            syscalls.mount_setattr(rootfs_fd, propagation=syscalls.MS_PRIVATE, recursive=True)
            init.create(spec, rootfs_fd=rootfs_fd)
        except BaseException:
            init.discard()
            raise
    except BaseException:
        cgroup.remove()
        raise
    return init


def run_bundle(bundle: Path, container_id: str, *, stdio: Stdio) -> int:
    """Runs `bundle` to its end; returns the exit status, 128+n for a death by signal n."""
    try:
        with create_bundle(bundle, container_id, stdio=stdio) as init:
            try:
                init.start()
            finally:
                result = os.waitid(os.P_PIDFD, init.pidfd, os.WEXITED)
    finally:
        find_group(container_id).remove()
    if result is None:  # cannot be without WNOHANG
        raise ChildProcessError("init is not our child")
    return result.si_status + (0 if result.si_code == os.CLD_EXITED else 128)


def _unknown_field(raw: Any, known: Any, where: str = "") -> str:
    """The first field that carries something and was not taken up, as a dotted path."""
    if isinstance(raw, dict):
        for name, value in raw.items():
            path = f"{where}.{name}" if where else name
            if not isinstance(known, dict) or name not in known:
                if value not in (None, "", 0, False, [], {}):
                    return path
            elif found := _unknown_field(value, known[name], path):
                return found
    if isinstance(raw, list) and isinstance(known, list):
        for index, (value, taken) in enumerate(zip(raw, known, strict=False)):
            if found := _unknown_field(value, taken, f"{where}[{index}]"):
                return found
    return ""
