"""What programs write: all of it, in order, whatever it is and however fast it comes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydock_engine.container.container import Container
from pydock_engine.engine import Engine
from pydock_engine.protocol.channel import Channel
from pydock_engine.protocol.messages import Attach, Exited, Output

from tests.container.conftest import Run, wait_for_output

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network]

MIB = 1 << 20


def collected() -> tuple[dict[str, bytearray], Callable[[str, bytes], None]]:
    streams = {"stdout": bytearray(), "stderr": bytearray()}
    return streams, lambda stream, data: streams[stream].__iadd__(data) and None


def peak_rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_bytes_that_are_no_text_arrive_as_they_are(busybox: Engine, sh: Run) -> None:
    streams, take = collected()
    script = "printf '\\377\\376a\\000b\\n\\303'; printf '\\251\\n' >&2; printf '\\251'"
    result = sh(script, on_output=take)
    assert bytes(streams["stdout"]) == b"\xff\xfea\0b\n\xc3\xa9"
    assert bytes(streams["stderr"]) == b"\xa9\n"
    container = busybox.containers.get(result.container_id)
    assert container.logs(stderr=False) == bytes(streams["stdout"])
    assert "\ufffd" in result.stderr


def test_output_without_a_newline_is_shown_at_once_and_logged_at_the_end(
    busybox: Engine, detached: Callable[..., Container]
) -> None:
    container = detached("mkfifo /tmp/f; printf half; read x < /tmp/f; echo ' and half'")
    with Channel.connect(container.paths.socket) as channel:
        channel.send(Attach(logs=True))
        message = channel.expect(Output)
        assert message.data == b"half"
        with open(f"/proc/{container.state.pid}/root/tmp/f", "w") as fifo:
            fifo.write("x\n")
        assert channel.expect(Output).data == b" and half\n"
        channel.expect(Exited)
    assert container.logs() == b"half and half\n"


def test_both_streams_keep_their_order_in_the_log(busybox: Engine, sh: Run) -> None:
    result = sh("for i in 1 2 3; do echo o$i; sleep 0.03; echo e$i >&2; sleep 0.03; done")
    log = busybox.containers.get(result.container_id).output()
    assert [entry.data for entry in log] == [b"o1\n", b"e1\n", b"o2\n", b"e2\n", b"o3\n", b"e3\n"]


def test_tail_gives_the_last_lines(busybox: Engine, sh: Run) -> None:
    result = sh("for i in $(seq 100); do echo line $i; done; printf end")
    container = busybox.containers.get(result.container_id)
    assert container.logs(tail=3) == b"line 99\nline 100\nend"
    assert container.logs(tail=0) == b""
    assert len(container.logs(tail=1000).split(b"\n")) == 101


def test_follow_begins_at_the_tail_and_ends_with_the_container(
    detached: Callable[..., Container],
) -> None:
    script = "for i in 1 2 3; do echo $i; done; mkfifo /tmp/f; echo ready; read x < /tmp/f; echo z"
    container = detached(script)
    wait_for_output(container, b"ready")
    seen = []
    for entry in container.output(follow=True, tail=2):
        seen.append(entry.data)
        if entry.data == b"ready\n":
            with open(f"/proc/{container.state.pid}/root/tmp/f", "w") as fifo:
                fifo.write("x\n")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", entry.time)
    assert seen == [b"3\n", b"ready\n", b"z\n"]


def test_the_log_is_dockers_format(busybox: Engine, sh: Run) -> None:
    result = sh("echo hi; echo 'a\"\\b' >&2; head -c 20000 /dev/zero | tr '\\0' x")
    log = busybox.paths.container(result.container_id).log.read_text().splitlines()
    entries = [json.loads(line) for line in log]
    assert [set(entry) for entry in entries] == [{"log", "stream", "time"}] * 4
    assert [e["log"] for e in entries if e["stream"] == "stderr"] == ['a"\\b\n']
    assert [len(e["log"]) for e in entries if e["stream"] == "stdout"] == [3, 16384, 3616]


FAST = "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678"


@pytest.mark.slow
def test_a_fast_writer_is_logged_whole_in_bounded_memory(
    busybox: Engine, detached: Callable[..., Container]
) -> None:
    """100 MB with an attached client that does not read until the program has ended."""
    container = detached(
        f"mkfifo /tmp/go; echo ready >&2; read x < /tmp/go;"
        f" {FAST} | head -c {100 * MIB}; echo done >&2; read x < /tmp/go"
    )
    wait_for_output(container, b"ready")
    monitor = container.state.monitor_pid
    with Channel.connect(container.paths.socket) as slow:
        slow.send(Attach(logs=True))
        _go(container)
        wait_for_output(container, b"done")
        assert peak_rss_bytes(monitor) < 60 * MIB
        _go(container)
        digest, size = hashlib.sha256(), 0
        while isinstance(message := slow.receive(), Output):
            if message.stream == "stdout":
                digest.update(message.data)
                size += len(message.data)
        assert isinstance(message, Exited)
    assert size == 100 * MIB
    line = FAST.split()[1].encode() + b"\n"
    expected = (line * (100 * MIB // len(line) + 1))[: 100 * MIB]
    assert digest.digest() == hashlib.sha256(expected).digest()
    logged = hashlib.sha256()
    for entry in container.output():
        if entry.stream == "stdout":
            logged.update(entry.data)
    assert logged.digest() == digest.digest()


def _go(container: Container) -> None:
    with open(f"/proc/{container.state.pid}/root/tmp/go", "w") as fifo:
        fifo.write("x\n")


def test_a_client_that_never_reads_stalls_nobody(detached: Callable[..., Container]) -> None:
    script = f"mkfifo /tmp/go; echo ready; read x < /tmp/go; {FAST} | head -c {4 * MIB}"
    container = detached(script)
    wait_for_output(container, b"ready")
    with Channel.connect(container.paths.socket) as idle:
        idle.send(Attach(logs=True))
        _go(container)
        assert container.wait() == 0
        assert container.status == "exited"


def test_a_slow_foreground_client_loses_nothing(busybox: Engine, busybox_reference: str) -> None:
    """A client stopped by SIGSTOP while the container writes more than any buffer holds."""
    script = f"echo ready >&2; {FAST} | head -c {8 * MIB}"
    code = (
        "import sys, hashlib, os, signal\n"
        "from pydock_engine.container.options import RunOptions\n"
        "from pydock_engine.engine import Engine\n"
        "digest = hashlib.sha256()\n"
        "def take(stream, data):\n"
        "    if stream == 'stderr':\n"
        "        os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    else:\n"
        "        digest.update(data)\n"
        "options = RunOptions(image=sys.argv[1], command=('sh', '-c', sys.argv[2]), name='job')\n"
        "Engine().containers.run(options, on_output=take)\n"
        "print(digest.hexdigest())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, busybox_reference, script], stdout=subprocess.PIPE, text=True
    ) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        container = busybox.containers.get("job")
        assert container.wait() == 0
        os.kill(process.pid, signal.SIGCONT)
        printed, _ = process.communicate()
    line = FAST.split()[1].encode() + b"\n"
    expected = (line * (8 * MIB // len(line) + 1))[: 8 * MIB]
    assert printed.strip() == hashlib.sha256(expected).hexdigest()
