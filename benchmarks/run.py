"""Running a program that does nothing, from the call to the result, image and helpers warm.

Ours is measured as a notebook cell calls it and as `pydock run` in a shell; the peers as their
commands. All without a network, as their bridges cost more than anything else.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydock_engine.container.options import RunOptions
from pydock_engine.engine import Engine

from benchmarks import peers
from benchmarks.harness import Comparison, Contender, call, compare
from tests.support.images import busybox_image
from tests.support.registry import serve_registry

SOURCE = Path(__file__).parents[1]

REPEATS = 40
WARM_UP = 3
DETACHED = 50


def measure() -> list[Comparison]:
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pydock-bench-run-")))
        (place / "registry").mkdir()
        registry = stack.enter_context(serve_registry(place / "registry"))
        image = registry.push(busybox_image(), "bench/busybox:1")
        engine = stack.enter_context(_engine(place, image))
        docker = _with_image(stack.enter_context(peers.dockerd()), image)
        podman = _with_image(stack.enter_context(peers.podman()), image, "--tls-verify=false")
        options = RunOptions(image=image, command=("true",), rm=True)
        quick = ["--rm", "--network", "none", image, "true"]
        shell = [sys.executable, "-m", "pydock_engine.cli.main", "run", *quick]
        contenders = [
            Contender("pydock", lambda: engine.containers.run(options)),
            Contender("pydock, from a shell", lambda: call(*shell, env=_environment(engine))),
            _runner(docker, quick),
            _runner(podman, quick),
        ]
        one = compare(
            "run --rm --network none busybox true", contenders, repeats=REPEATS, warm_up=WARM_UP
        )
        many = compare(
            f"{DETACHED} containers started, then removed", _many(engine, image), repeats=3
        )
        return [one, many]


@contextlib.contextmanager
def _engine(place: Path, image: str) -> Iterator[Engine]:
    engine = Engine(place / "store")
    try:
        engine.images.pull(image)
        yield engine
    finally:
        for container in engine.containers.list(all=True):
            container.remove(force=True)
        engine.spawner.stop()
        engine.database.close()


def _environment(engine: Engine) -> dict[str, str]:
    places = [str(SOURCE / "engine"), str(SOURCE)]
    return {
        **os.environ,
        "PYDOCK_ROOT": str(engine.paths.root),
        "PYTHONPATH": os.pathsep.join(places),
    }


def _with_image(peer: peers.Peer, image: str, *options: str) -> peers.Peer:
    if not peer.skip:
        call(*peer.command("pull", "--quiet", *options, image))
    return peer


def _runner(peer: peers.Peer, arguments: list[str]) -> Contender:
    return Contender(peer.name, lambda: call(*peer.run(*arguments)), skip=peer.skip)


def _many(engine: Engine, image: str) -> list[Contender]:
    options = RunOptions(image=image, command=("sleep", "1000"))

    def start_and_remove() -> None:
        started = [engine.containers.run_detached(options) for _ in range(DETACHED)]
        for container in started:
            container.remove(force=True)

    return [Contender("pydock", start_and_remove)]
