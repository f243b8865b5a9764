"""`run --rm --network none busybox true`, warm: from the call to the exit status.

Ours through the Python API (what a cell does) and through the shell command; Docker and Podman
through theirs. The same image, pulled by each from a registry on loopback.

    python -m benchmarks run
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine

from benchmarks import peers
from benchmarks.harness import Comparison, Contender, call, compare
from tests.support.images import busybox_image
from tests.support.packages import missing_reason
from tests.support.registry import serve_registry

REPEATS = 40
WARM_UP = 3


def measure() -> list[Comparison]:
    reason = missing_reason("docker-registry", "busybox")
    if reason:
        raise RuntimeError(reason)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pydock-bench-run-")))
        (place / "registry").mkdir()
        registry = stack.enter_context(serve_registry(place / "registry"))
        reference = registry.push(busybox_image(docker=True), "bench/busybox:latest")
        engine = Engine(place / "store")
        stack.callback(engine.database.close)
        stack.callback(engine.spawner.stop)
        engine.images.pull(reference)
        options = RunOptions(image=reference, command=("true",), rm=True)
        shell = [sys.executable, "-m", "pydock_engine.cli.main", "--root", str(place / "store")]
        arguments = ["--rm", "--network", "none", reference, "true"]
        contenders = [
            Contender("pydock, Python API", lambda: engine.containers.run(options)),
            _peer(stack.enter_context(peers.podman()), reference, arguments, "--tls-verify=false"),
            _peer(stack.enter_context(peers.dockerd()), reference, arguments),
            Contender("pydock, shell command", lambda: call(*shell, "run", *arguments)),
        ]
        title = "run --rm --network none busybox true"
        return [compare(title, contenders, repeats=REPEATS, warm_up=WARM_UP)]


def _peer(peer: peers.Peer, reference: str, arguments: list[str], *pull: str) -> Contender:
    if not peer.skip:
        call(*peer.command("pull", "--quiet", *pull, reference))
    return Contender(f"{peer.name} run", lambda: call(*peer.run(*arguments)), skip=peer.skip)
