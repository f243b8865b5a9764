"""Bundles and the commands that run them: the same calls for pydock-oci, runc and crun."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "engine"
APPLETS = (
    "sh cat echo env false find grep head hostname dnsdomainname id kill ls mkdir mknod mount ps"
    " pwd readlink rm sleep stat stty touch tr true tty umask unshare wc seq sort sysctl ulimit"
)
CAPABILITIES = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_KILL",
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_MKNOD",
]
QUIET = ["nosuid", "noexec", "nodev"]
PATIENCE_S = 60


@dataclass(frozen=True)
class Answer:
    """How a call ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Lab:
    """One runtime with a state folder of its own, and one bundle."""

    command: list[str]
    folder: Path
    ids: list[str] = field(default_factory=list)

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    @property
    def rootfs(self) -> Path:
        return self.bundle / "rootfs"

    def write(self, *args: str, **changes: Any) -> dict[str, Any]:
        """Writes config.json: `args`, and dotted changes with `__` for the dot."""
        document = config(list(args))
        for path, value in changes.items():
            *parents, name = path.split("__")
            place = document
            for parent in parents:
                place = place[parent]
            place[name] = value
        (self.bundle / "config.json").write_text(json.dumps(document))
        return document

    def sh(self, script: str, **changes: Any) -> Answer:
        """Runs `script` in a container from its creation to its removal."""
        self.write("sh", "-c", script, **changes)
        return self.call("run", "--bundle", str(self.bundle), self.new_id())

    def new_id(self) -> str:
        self.ids.append(f"t{secrets.token_hex(8)}")
        return self.ids[-1]

    def create(self, *flags: str, **popen: Any) -> str:
        """A created container of what `write` has written; its output goes to `<id>.out`."""
        name = self.new_id()
        with (self.folder / f"{name}.out").open("wb") as out:
            made = subprocess.run(
                [*self.command, "create", "--bundle", str(self.bundle), *flags, name],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=PATIENCE_S,
                check=False,
                **popen,
            )
        assert made.returncode == 0, self.output(name)
        return name

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text()

    def call(self, *arguments: str, **popen: Any) -> Answer:
        ended = subprocess.run(
            [*self.command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            **popen,
        )
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    def leave(self, *arguments: str) -> int:
        """The status of a call whose processes outlive it, and would hold a pipe open."""
        nowhere = subprocess.DEVNULL
        return subprocess.run(
            [*self.command, *arguments],
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            timeout=PATIENCE_S,
            check=False,
        ).returncode

    def state(self, name: str) -> dict[str, Any]:
        answer = self.call("state", name)
        assert answer.status == 0, answer.err
        state: dict[str, Any] = json.loads(answer.out)
        return state

    def close(self) -> None:
        for name in self.ids:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.call("delete", "--force", name)


def config(args: Sequence[str]) -> dict[str, Any]:
    """A document with what most containers have."""
    return deepcopy(
        {
            "ociVersion": "1.0.2",
            "process": {
                "args": list(args),
                "env": ["PATH=/bin", "A=b"],
                "cwd": "/",
                "user": {"uid": 0, "gid": 0},
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
                "noNewPrivileges": True,
            },
            "root": {"path": "rootfs"},
            "hostname": "probe",
            "mounts": [
                mount("/proc", "proc", QUIET),
                mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
                mount(
                    "/dev/pts",
                    "devpts",
                    ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
                ),
                mount("/dev/shm", "tmpfs", [*QUIET, "mode=1777", "size=65536k"]),
                mount("/dev/mqueue", "mqueue", QUIET),
                mount("/sys", "sysfs", [*QUIET, "ro"]),
            ],
            "annotations": {"org.example.key": "value"},
            "linux": {
                "cgroupsPath": f"/pydock-test-{secrets.token_hex(8)}",
                "namespaces": [{"type": n} for n in ("pid", "ipc", "uts", "mount", "network")],
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
                "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
            },
        }
    )


def mount(destination: str, kind: str, options: list[str], source: str = "") -> dict[str, Any]:
    return {
        "destination": destination,
        "type": kind,
        "source": source or kind,
        "options": options,
    }


def fill(rootfs: Path, busybox: str) -> None:
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy(busybox, rootfs / "bin" / "busybox")
    for name in APPLETS.split():
        (rootfs / "bin" / name).symlink_to("busybox")
    (rootfs / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:7:7::/home/app:\n")
    (rootfs / "etc" / "group").write_text("root:x:0:\n")


def own_program(folder: Path) -> str:
    """pydock-oci of this checkout as one executable file."""
    program = folder / "pydock-oci"
    lines = (
        f"#!{sys.executable}",
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})",
        "from pydock_engine.cli.oci import main",
        "main()",
    )
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)
    return str(program)
