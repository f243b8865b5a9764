"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container, as text."""

from __future__ import annotations

from pathlib import Path

_LOOPBACK = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def contents(hostname: str, network: str) -> dict[str, str]:
    """The three files by name; on the host's network they are the host's own."""
    files = {"hostname": f"{hostname}\n", "hosts": _LOOPBACK, "resolv.conf": ""}
    if network == "host":
        files["hosts"] = _read("/etc/hosts") or _LOOPBACK
        files["resolv.conf"] = _read("/etc/resolv.conf")
    else:
        files["hosts"] += f"127.0.0.1\t{hostname}\n"
    return files


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="surrogateescape")
    except OSError:
        return ""
