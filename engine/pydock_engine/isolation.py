"""What this machine can isolate and limit: facts for `system info`; nothing is changed."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from .runtime.cgroups.hierarchies import this_machine
from .store.root import filesystem_of

WAYS = {
    "root": "",
    "rootless": "",
    "rootless-single": "install uidmap and give the user 65536 subordinate ids (usermod)",
    "none": "allow user namespaces (sysctl user.max_user_namespaces,"
    " kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
}
"""What would make each level a better one."""


def facts(level: str, reason: str, root: Path) -> dict[str, str]:
    """Named facts, in the order to show them; values are short texts."""
    found = {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "uid": str(os.geteuid()),
        "level": level,
    }
    if reason:
        found["why not more"] = reason
    if WAYS.get(level):
        found["way out"] = WAYS[level]
    found["cgroups"] = _cgroups()
    found["user namespaces"] = _sysctl("user/max_user_namespaces")
    found["seccomp"] = "yes" if Path("/proc/sys/kernel/seccomp").is_dir() else "no"
    found["overlayfs"] = "yes" if _has_filesystem("overlay") else "not loaded"
    found["newuidmap"] = shutil.which("newuidmap") or "not installed"
    found["store"] = filesystem_of(root) if root.exists() else "not there yet"
    return found


def _cgroups() -> str:
    hierarchies = this_machine()
    controllers = [
        name for name in ("memory", "cpu", "pids") if hierarchies.controller(name) is not None
    ]
    version = "v1" if hierarchies.v1 else "v2"
    if hierarchies.v1 and hierarchies.unified:
        version = "v1 and v2"
    return f"{version}; {', '.join(controllers) or 'no controllers'}"


def _has_filesystem(name: str) -> bool:
    text = Path("/proc/filesystems").read_text()
    return any(line.split()[-1] == name for line in text.splitlines())


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return "unknown"
