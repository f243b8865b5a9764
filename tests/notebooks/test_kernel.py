"""Magics in a real kernel: output while it runs, interrupts, and a kernel that is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest
from pydock_engine.engine import Engine

from .conftest import Kernel, StartKernel

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.slow]

INTERRUPT_LIMIT_S = 2.0


def test_output_comes_while_the_program_runs(kernel: Kernel) -> None:
    answer = kernel.run(
        "%%container --rm\n"
        "import sys, time\n"
        "print('first', flush=True)\n"
        "time.sleep(1)\n"
        "print('second'); print('problem', file=sys.stderr)\n"
    )
    assert answer.text("stdout") == "first\nsecond\n"
    assert answer.text("stderr") == "problem\n"
    assert answer.value.startswith("exit 0")
    came = [t for t, m in answer.messages if m["msg_type"] == "stream"]
    assert came[-1] - came[0] > 0.5


def test_chatter_is_gathered_into_few_updates(kernel: Kernel) -> None:
    answer = kernel.run(
        "%%container --rm\n"
        "import time\n"
        "for n in range(400):\n"
        "    print(n, flush=True)\n"
        "    time.sleep(0.005)\n"
    )
    assert answer.text("stdout").split() == [str(n) for n in range(400)]
    times = [t for t, m in answer.messages if m["msg_type"] == "stream"]
    assert len(times) <= 20 * (times[-1] - times[0]) + 20


def test_a_flood_stays_below_jupyters_limits(kernel: Kernel) -> None:
    answer = kernel.run(
        "%%container --rm\n"
        "import sys\n"
        "for n in range(100):\n"
        "    sys.stdout.write('x' * 999_999 + '\\n')\n"
        "print('the end')\n"
    )
    shown = answer.text("stdout")
    assert answer.reply["status"] == "ok"
    assert len(shown) <= 1_100_000
    assert "characters left out" in shown
    assert shown.endswith("the end\n")


def interrupted(kernel: Kernel, cell: str) -> tuple[Any, float]:
    """The answer of a cell that is interrupted when it says `ready`, and how long that took."""
    sent: list[float] = []

    def on_message(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and not sent and "ready" in message["content"]["text"]:
            sent.append(time.monotonic())
            kernel.interrupt()

    answer = kernel.run(cell, on_message)
    return answer, time.monotonic() - sent[0]


def test_interrupt_ends_the_program_within_two_seconds(
    kernel: Kernel, shared_engine: Engine
) -> None:
    answer, took_s = interrupted(
        kernel,
        "%%container --name busy\nimport time\nprint('ready', flush=True)\ntime.sleep(600)\n",
    )
    assert took_s < INTERRUPT_LIMIT_S
    assert answer.reply["ename"] == "KeyboardInterrupt"
    assert len(answer.error) <= 2
    assert shared_engine.containers.get("busy").status == "exited"
    assert kernel.run("1 + 1").value == "2"


def test_interrupt_ends_a_program_that_ignores_it(kernel: Kernel, shared_engine: Engine) -> None:
    answer, took_s = interrupted(
        kernel,
        "%%container --name busy\n"
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(600)\n",
    )
    assert took_s < INTERRUPT_LIMIT_S
    assert answer.reply["ename"] == "KeyboardInterrupt"
    assert shared_engine.containers.get("busy").status == "exited"


def test_an_error_is_two_lines(kernel: Kernel) -> None:
    answer = kernel.run("%container logs nosuch")
    assert answer.reply["ename"] == "ContainerNotFound"
    assert len(answer.error) == 2
    kernel.run("%config Pydock.short_errors = False")
    assert len("\n".join(kernel.run("%container logs nosuch").error).splitlines()) > 5


def test_frames_have_an_html_face(kernel: Kernel) -> None:
    content = kernel.run("%image ls").of("execute_result")[0]["data"]
    assert "<table" in content["text/html"]
    assert "local/python" in content["text/plain"]


def test_making_the_default_image_shows_progress_in_one_display(
    start_kernel: StartKernel, engine: Engine
) -> None:
    kernel = start_kernel(engine.paths.root)
    answer = kernel.run("%%container --rm\nprint('made')\n")
    assert answer.text("stdout") == "made\n"
    displays, updates = answer.of("display_data"), answer.of("update_display_data")
    assert len(displays) == 1
    assert updates
    ids = {message["transient"]["display_id"] for message in displays + updates}
    assert len(ids) == 1
    assert "making the default image" in updates[-1]["data"]["text/plain"]


def test_a_killed_kernel_leaves_a_detached_container_running(
    start_kernel: StartKernel,
) -> None:
    first = start_kernel()
    first.run(
        "%%container -d --name survivor\n"
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "print('before', flush=True)\n"
        "signal.sigwait({signal.SIGTERM})\n"
        "print('after', flush=True); sys.exit(7)\n"
    )
    os.kill(first.pid, signal.SIGKILL)
    first.manager.provisioner.process.wait()  # type: ignore[union-attr]

    second = start_kernel()
    listed = second.run("import json; ls = %container ls\nprint(json.dumps(list(ls['name'])))")
    assert json.loads(listed.text("stdout")) == ["survivor"]
    second.run("%container kill -s TERM survivor")
    assert second.run("%container wait survivor").value == "[7]"
    assert second.run("%container logs survivor").value == "before\nafter"


def test_a_kernel_killed_in_a_foreground_cell_leaves_a_container_one_can_end(
    start_kernel: StartKernel,
) -> None:
    first = start_kernel()
    first.client.execute(
        "%%container --name orphan\nimport time\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    while True:
        message = first.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "stream":
            break
    os.kill(first.pid, signal.SIGKILL)
    first.manager.provisioner.process.wait()  # type: ignore[union-attr]
    second = start_kernel()
    assert "ready" in second.run("%container logs orphan").value
    assert second.run("%container rm -f orphan").reply["status"] == "ok"
