"""A container as `docker inspect` shows it: docker's keys in docker's order, JSON types.

Source: Docker Engine API 1.43, ContainerInspect.
"""

from __future__ import annotations

from typing import Any

from ..paths import ContainerPaths, Paths
from .options import RunOptions
from .plan import Plan
from .records import ContainerState

NEVER = "0001-01-01T00:00:00Z"
"""Docker's zero time."""


def document(plan: Plan, state: ContainerState, paths: Paths) -> dict[str, Any]:
    """All that is known of the container now."""
    record = plan.record
    own = paths.container(record.id)
    return {
        "Id": record.id,
        "Created": record.created_at,
        "Path": record.command[0] if record.command else "",
        "Args": list(record.command[1:]),
        "State": _state(state),
        "Image": record.image_id,
        "LogPath": str(own.log),
        "Name": f"/{record.name}",
        "RestartCount": 0,
        "Driver": "overlayfs",
        "Platform": "linux",
        "HostConfig": _host_config(record.options),
        "GraphDriver": {"Name": "overlayfs", "Data": _graph_data(plan, paths, own)},
        "Mounts": _mounts(record.options),
        "Config": _config(plan),
        "NetworkSettings": {"Networks": {record.options.network: {}}, "Ports": {}},
        "Isolation": state.isolation,
        "NotApplied": list(state.not_applied),
    }


def _state(state: ContainerState) -> dict[str, Any]:
    return {
        "Status": state.status,
        "Running": state.status == "running",
        "Paused": False,
        "Restarting": False,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at or NEVER,
        "FinishedAt": state.finished_at or NEVER,
    }


def _host_config(options: RunOptions) -> dict[str, Any]:
    return {
        "Binds": [
            _bind(volume.source, volume.target, volume.read_only) for volume in options.volumes
        ],
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": options.network,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": options.rm,
        "Privileged": False,
        "ReadonlyRootfs": options.read_only,
        "SecurityOpt": _security(options),
        "Tmpfs": dict(_tmpfs(entry) for entry in options.tmpfs),
        "UsernsMode": options.userns or "",
        "Memory": options.memory_bytes or 0,
        "NanoCpus": round((options.cpus or 0) * 1_000_000_000),
        "PidsLimit": options.pids_limit,
    }


def _security(options: RunOptions) -> list[str] | None:
    words = ["no-new-privileges"] if options.no_new_privileges else []
    if options.seccomp is not None:
        words.append(f"seccomp={options.seccomp}")
    return words or None


def _bind(source: str, target: str, read_only: bool) -> str:
    return f"{source}:{target}" + (":ro" if read_only else "")


def _tmpfs(entry: str) -> tuple[str, str]:
    target, _, options = entry.partition(":")
    return target, options


def _mounts(options: RunOptions) -> list[dict[str, Any]]:
    return [
        {
            "Type": "bind",
            "Source": volume.source,
            "Destination": volume.target,
            "Mode": "ro" if volume.read_only else "",
            "RW": not volume.read_only,
            "Propagation": "rprivate",
        }
        for volume in options.volumes
    ]


def _graph_data(plan: Plan, paths: Paths, own: ContainerPaths) -> dict[str, str]:
    return {
        "LowerDir": ":".join(str(paths.layer(chain) / "diff") for chain in plan.lower),
        "UpperDir": str(own.snapshot / "upper"),
        "WorkDir": str(own.snapshot / "work"),
    }


def _config(plan: Plan) -> dict[str, Any]:
    options, image = plan.record.options, plan.image_config
    return {
        "Hostname": options.hostname or plan.record.id[:12],
        "User": options.user if options.user is not None else image.user,
        "AttachStdin": False,
        "AttachStdout": not options.detach,
        "AttachStderr": not options.detach,
        "Tty": False,
        "OpenStdin": False,
        "Env": _merged_env((*(image.env or ()), *plan.extra_env, *options.env)),
        "Cmd": list(options.command or image.cmd or ()) or None,
        "Image": plan.record.image,
        "Volumes": image.volumes,
        "WorkingDir": options.workdir or image.working_dir,
        "Entrypoint": list(
            options.entrypoint if options.entrypoint is not None else image.entrypoint or ()
        )
        or None,
        "Labels": {**(image.labels or {}), **options.labels},
        "StopSignal": options.stop_signal or image.stop_signal or "SIGTERM",
    }


def _merged_env(lines: tuple[str, ...]) -> list[str]:
    """Later ones win, in the place of the first."""
    merged = {line.partition("=")[0]: line for line in lines}
    return list(merged.values())
