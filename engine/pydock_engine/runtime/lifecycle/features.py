"""What `features` and `spec` print: the runtime's abilities, and a document to start from.

Source: runtime-spec features.md and features-linux.md; config.md's example for `spec`.
"""

from __future__ import annotations

from typing import Any, get_args

from ... import __version__
from ...oci import seccomp
from .. import capabilities, filesystems
from .joining import KINDS

_QUIET = ["nosuid", "noexec", "nodev"]
_FILES = ("acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi")
_MASKED = (*_FILES, "timer_list", "timer_stats")


def features() -> dict[str, Any]:
    """The document of features.md."""
    words = {*filesystems.WORDS, "tmpcopyup"}
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.0",
        "hooks": [
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ],
        "mountOptions": sorted(words),
        "linux": {
            "namespaces": sorted(KINDS),
            "capabilities": sorted(capabilities.NAMES),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False},
            "seccomp": {
                "enabled": True,
                "actions": sorted(set(get_args(seccomp.Action)) - {"SCMP_ACT_NOTIFY"}),
                "operators": sorted(get_args(seccomp.Operator)),
                "archs": [
                    f"SCMP_ARCH_{name}" for name in ("AARCH64", "ARM", "X32", "X86", "X86_64")
                ],
                "knownFlags": sorted(get_args(seccomp.Flag)),
                "supportedFlags": [
                    f"SECCOMP_FILTER_FLAG_{name}" for name in ("LOG", "SPEC_ALLOW", "TSYNC")
                ],
            },
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
        },
        "annotations": {"io.github.pydock.version": __version__},
    }


def example(*, rootless: bool) -> dict[str, Any]:
    """A config.json that runs `sh` in `rootfs`; `rootless` for an ordinary user."""
    import os

    kept = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    linux: dict[str, Any] = {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "maskedPaths": [f"/proc/{name}" for name in _MASKED] + ["/sys/firmware"],
        "readonlyPaths": [f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger")],
    }
    if rootless:
        namespaces.append("user")
        del linux["resources"]
        for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
            linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": own, "size": 1}]
    linux["namespaces"] = [{"type": name} for name in namespaces]
    return {
        "ociVersion": "1.2.0",
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), kept),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "pydock",
        "mounts": [
            _mount("/proc", "proc", []),
            _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            _mount(
                "/dev/pts",
                "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
                + ([] if rootless else ["gid=5"]),
            ),
            _mount("/dev/shm", "tmpfs", [*_QUIET, "mode=1777", "size=65536k"]),  # noqa: S108
            _mount("/dev/mqueue", "mqueue", _QUIET),
            _mount("/sys", "sysfs", [*_QUIET, "ro"]),
            _mount("/sys/fs/cgroup", "cgroup", [*_QUIET, "relatime", "ro"]),
        ],
        "linux": linux,
    }


def _mount(destination: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": kind, "options": options}
