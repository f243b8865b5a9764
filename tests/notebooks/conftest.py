"""Real kernels, as Jupyter starts them, each with a store of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop
from pydock_engine.engine import Engine

from tests.conftest import close_engine

MESSAGE_TIMEOUT_S = 60.0


@dataclass
class Answer:
    """All a cell sent back: messages in order, and what they come to."""

    reply: dict[str, Any] = field(default_factory=dict)
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for _, message in self.messages if message["msg_type"] == kind]

    def text(self, stream: str) -> str:
        return "".join(m["text"] for m in self.of("stream") if m["name"] == stream)

    @property
    def value(self) -> str:
        results = self.of("execute_result")
        return str(results[0]["data"]["text/plain"]) if results else ""

    @property
    def error(self) -> list[str]:
        errors = self.of("error")
        return list(errors[0]["traceback"]) if errors else []


class Kernel:
    """One kernel process and a client of it."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.manager = KernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(folder / "kernel.json")
        )
        env = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYDOCK_ROOT": str(root)}
        self.manager.start_kernel(cwd=str(folder), env=env)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=MESSAGE_TIMEOUT_S)

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def run(self, code: str, on_message: Callable[[dict[str, Any]], None] | None = None) -> Answer:
        """Executes a cell to its end; `on_message` sees each message as it comes."""
        answer = Answer()
        sent = self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=MESSAGE_TIMEOUT_S)
            if message["parent_header"].get("msg_id") != sent:
                continue
            answer.messages.append((time.monotonic(), message))
            if on_message is not None:
                on_message(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=MESSAGE_TIMEOUT_S)
            if reply["parent_header"].get("msg_id") == sent:
                answer.reply = reply["content"]
                return answer

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def close(self) -> None:
        with contextlib.suppress(Empty, RuntimeError):
            self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.destroy()


@pytest.fixture(scope="package", autouse=True)
def event_loop() -> Iterator[None]:
    """The loop that jupyter_client's blocking calls share; here before a test's leak check."""
    loop = ensure_event_loop()
    yield
    loop.close()


@pytest.fixture(scope="package", autouse=True)
def shared_engine() -> Iterator[Engine]:
    """An engine with the default image, for all tests here; its spawner runs from the start."""
    folder = Path(tempfile.mkdtemp(prefix="pn-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYDOCK_RUN", str(folder / "run"))
        engine = Engine(folder / "root")
        engine.images.ensure_default()
        yield engine
        close_engine(engine)
    engine.database.close()
    shutil.rmtree(folder)


StartKernel = Callable[..., Kernel]


@pytest.fixture
def start_kernel(shared_engine: Engine, short_path: Path) -> Iterator[StartKernel]:
    """Starts kernels with the extension loaded, on the shared store or on `root`.

    Afterwards all are ended, and containers they made in the shared store are removed.
    """
    kernels: list[Kernel] = []

    def start(root: Path | None = None) -> Kernel:
        folder = short_path / f"kernel{len(kernels)}"
        folder.mkdir()
        kernels.append(Kernel(folder, root or shared_engine.paths.root))
        answer = kernels[-1].run("%load_ext pydock_magic")
        assert answer.reply["status"] == "ok", answer.error
        return kernels[-1]

    try:
        yield start
    finally:
        for kernel in kernels:
            kernel.close()
        for container in shared_engine.containers.list(all=True):
            shared_engine.containers.remove(container.id, force=True)


@pytest.fixture
def kernel(start_kernel: StartKernel) -> Kernel:
    return start_kernel()
