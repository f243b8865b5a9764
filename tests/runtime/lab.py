"""Containers for tests of the runtime: a small busybox root and a driver that runs them."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from pydock_engine.container.options import RunOptions
from pydock_engine.container.plan import Plan
from pydock_engine.container.records import ContainerRecord
from pydock_engine.oci.image import ContainerConfig
from pydock_engine.paths import Paths

from tests.runtime.driver import Report, Request

CHAIN = "sha256:" + "a" * 64
APPLETS = (
    "sh cat echo env false find grep head hostname id ifconfig ip kill ls mkdir mkfifo mknod mount"
    " ps pwd readlink rm sleep sort stat sysctl test touch tr true umount umask unshare wc"
)
PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
GROUP = "root:x:0:\nwheel:x:10:root\naudio:x:29:app\napp:x:1000:\nvideo:x:44:app,root\n"


class Driver:
    """Owns the driver process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.runtime.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, request: Request) -> Report:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(msgspec.json.encode(request) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the driver ended with status {self._process.wait()}"
        return msgspec.json.decode(answer, type=Report)

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@dataclass
class Box:
    """Runs containers whose root is `layers` (topmost first) of a store of its own."""

    driver: Driver
    paths: Paths
    userns: str | None = None
    layers: tuple[str, ...] = (CHAIN,)
    config: ContainerConfig = field(default_factory=ContainerConfig)

    @property
    def diff(self) -> Path:
        """The bottom layer's files, to be prepared as a test needs them."""
        return self.paths.layer(self.layers[-1]) / "diff"

    def run(
        self,
        *command: str,
        stdin: str = "",
        signal: int = 0,
        abandon: bool = False,
        container_id: str = "",
        **options: Any,
    ) -> Report:
        """One container, from its creation to its end."""
        container_id = container_id or secrets.token_hex(32)
        self.paths.container(container_id).base.mkdir(parents=True, exist_ok=True)
        host = os.geteuid() != 0 or self.userns == "host"
        record = ContainerRecord(
            id=container_id,
            name=f"test_{container_id[:6]}",
            image="busybox",
            image_id="sha256:" + "0" * 64,
            created_at="2024-01-02T03:04:05Z",
            command=command,
            options=RunOptions(image="busybox", **{"userns": self.userns, **options}),
            userns_slot=-1 if host else 7,
        )
        plan = Plan(record=record, image_config=self.config, lower=self.layers)
        return self.driver.ask(
            Request(
                plan=plan,
                root=str(self.paths.root),
                run=str(self.paths.run),
                stdin=stdin,
                signal=signal,
                abandon=abandon,
            )
        )

    def sh(self, script: str, **options: Any) -> str:
        """What `script` prints; it must end well and leave nothing mounted."""
        report = self.run("sh", "-c", script, **options)
        assert report.error == "", report.message
        assert report.exit_code == 0, report.stderr
        assert report.mounts_left == []
        return report.stdout


def make_layer(paths: Paths, chain: str = CHAIN) -> Path:
    """A busybox root as an unpacked layer; returns its `diff`."""
    diff = paths.layer(chain) / "diff"
    for folder in ("bin", "etc", "root", "tmp", "home/app"):
        (diff / folder).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox
    shutil.copy(busybox, diff / "bin" / "busybox")
    for name in APPLETS.split():
        (diff / "bin" / name).symlink_to("busybox")
    (diff / "tmp").chmod(0o1777)
    (diff / "etc" / "passwd").write_text(PASSWD)
    (diff / "etc" / "group").write_text(GROUP)
    diff.chmod(0o755)
    return diff
