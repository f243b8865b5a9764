"""The runtime alone, from a config.json to an exit status: ours (forked from a warm process, as a
monitor is), runc and crun on the same bundle. As root.

    python -m benchmarks runtime
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydock_engine.container import seccomp
from pydock_engine.container.launch import launch
from pydock_engine.container.options import RunOptions
from pydock_engine.container.plan import Plan
from pydock_engine.container.records import ContainerRecord
from pydock_engine.oci.image import ContainerConfig
from pydock_engine.paths import Paths
from pydock_engine.runtime import syscalls
from pydock_engine.runtime.bundle import load_spec
from pydock_engine.runtime.create import Stdio
from pydock_engine.runtime.lifecycle import foreground
from pydock_engine.runtime.lifecycle.create import CreateOptions
from pydock_engine.runtime.lifecycle.state import Container

from benchmarks.harness import Comparison, Contender, call, compare
from tests.support.packages import find_program

CHAIN = "sha256:" + "b" * 64
REPEATS = 50


def measure() -> list[Comparison]:
    busybox = shutil.which("busybox")
    if os.geteuid() != 0 or busybox is None:
        return []
    with tempfile.TemporaryDirectory(prefix="pydock-bench-") as name:
        folder = Path(name)
        bundle = make_bundle(folder / "bundle", busybox)
        seccomp.warm()
        gc.collect()
        gc.freeze()
        contenders = [
            Contender("pydock runtime", lambda: in_child(lambda: run(bundle))),
            peer("pydock-oci", folder, bundle),
            peer("runc", folder, bundle),
            peer("crun", folder, bundle),
        ]
        one = compare("a bundle's `true`, create to exit", contenders, repeats=REPEATS)
        return [one, compare_launch(folder, busybox)]


def compare_launch(folder: Path, busybox: str) -> Comparison:
    """Overlay, id maps and user namespace included: what `run` costs below the monitor."""
    paths = Paths(folder / "root", folder / "run")
    fill(paths.layer(CHAIN) / "diff", busybox)
    contenders = [
        Contender(
            f"user namespace {kind}", lambda kind=kind: in_child(lambda: run_plan(paths, kind))
        )
        for kind in ("private", "host")
    ]
    for count in (10, 100):
        for number in range(count):
            (paths.layer(f"sha256:{number:064x}") / "diff").mkdir(parents=True, exist_ok=True)
        contenders.append(
            Contender(
                f"private, {count} more layers",
                lambda count=count: in_child(lambda: run_plan(paths, "private", count)),
            )
        )
    return compare("a plan's `true`, overlay to exit", contenders, repeats=REPEATS)


def in_child(work: Callable[[], int]) -> None:
    """Does `work` as a monitor would: forked, in a mount namespace of its own."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
            status = work()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError(f"the container ended with wait status {status}")


def run(bundle: Path) -> int:
    container = Container(bundle.parent / "state", secrets.token_hex(8))
    return foreground.run(container, load_spec(bundle), CreateOptions(bundle=bundle))


def run_plan(paths: Paths, kind: str, more_layers: int = 0) -> int:
    identity = secrets.token_hex(32)
    paths.container(identity).base.mkdir(parents=True)
    record = ContainerRecord(
        id=identity,
        name="bench",
        image="busybox",
        image_id="",
        created_at="",
        command=("true",),
        options=RunOptions(image="busybox", userns="host" if kind == "host" else None),
        userns_slot=-1 if kind == "host" else 0,
    )
    lower = (*(f"sha256:{number:064x}" for number in range(more_layers)), CHAIN)
    plan = Plan(record=record, image_config=ContainerConfig(), lower=lower)
    launched = launch(plan, paths=paths, level="root", stdio=Stdio(0, 1, 2))
    launched.init.start()
    result = os.waitid(os.P_PIDFD, launched.init.pidfd, os.WEXITED)
    launched.cgroup.remove()
    return result.si_status if result else 1


def peer(name: str, folder: Path, bundle: Path) -> Contender:
    beside = Path(sys.executable).with_name(name)  # ours: the environment need not be on PATH
    program = str(beside) if beside.exists() else find_program(name)
    if program is None:
        return Contender(name, lambda: None, skip="not installed")
    command = [program, f"--root={folder}/{name}-state", "run", f"--bundle={bundle}"]
    try:
        call(*command, secrets.token_hex(8))
    except RuntimeError as error:  # crun, on a machine with cgroups of both versions
        return Contender(name, lambda: None, skip=str(error).strip().splitlines()[-1])
    return Contender(name, lambda: call(*command, secrets.token_hex(8)))


def make_bundle(folder: Path, busybox: str) -> Path:
    """A config.json with Docker's defaults, without limits, and a busybox root."""
    from tests.runtime.test_bundle import document

    fill(folder / "rootfs", busybox)
    content = document()
    content["process"] |= {"args": ["true"], "cwd": "/"}
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def fill(root: Path, busybox: str) -> None:
    for name in ("bin", "proc", "sys", "dev", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in ("sh", "true"):
        (root / "bin" / name).symlink_to("busybox")
