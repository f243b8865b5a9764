"""A stand-in for spawner and monitor: `python -m tests.runtime.driver`, requests on stdin.

Each line is a `Request`, answered by one `Report`; every container gets a forked, single-threaded
process with a mount namespace of its own, as in the real engine. Tests must not do that to pytest.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import selectors
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from pydock_engine.container import seccomp
from pydock_engine.container.launch import Launched, launch
from pydock_engine.container.plan import Plan
from pydock_engine.errors import PydockError
from pydock_engine.paths import Paths
from pydock_engine.runtime import syscalls
from pydock_engine.runtime.create import Stdio
from pydock_engine.spawner import userns

FORGOTTEN_FD = 9


class Request(msgspec.Struct, frozen=True):
    plan: Plan | None = None
    root: str = ""
    run: str = ""
    stdin: str = ""
    signal: int = 0
    """Sent to init once it has started."""
    abandon: bool = False
    """Report the pid of init, then die by SIGKILL as a monitor might."""
    remove: str = ""
    """Instead of a container: remove this tree (its owners may be subordinate ids)."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How it went; `exit_code` is 128+n for a death by signal n."""

    exit_code: int = -1
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    message: str = ""
    way_out: str = ""
    oom_kills: int = 0
    isolation: str = ""
    not_applied: tuple[str, ...] = ()
    pid: int = 0
    level: str = ""
    mounts_left: list[str] = []
    seconds: float = 0.0


def main() -> None:
    level = userns.enter()
    seccomp.warm()
    gc.freeze()
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Request)
        if request.remove:
            shutil.rmtree(request.remove)
            report: Any = Report(level=level.name)
        else:
            report = in_child(request, level.name)
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
        sys.stdout.buffer.flush()


def in_child(request: Request, level: str) -> Any:
    """The report a forked process makes of `request`."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            os.write(write_end, msgspec.json.encode(as_monitor(request, level, write_end)))
        except BaseException as error:
            os.write(write_end, json.dumps({"error": "driver", "message": repr(error)}).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    return msgspec.json.decode(data, type=Report)


def as_monitor(request: Request, level: str, report_fd: int) -> Report:
    assert request.plan
    # What somebody may forget to close on exec; no container may see it (CVE-2024-21626).
    fcntl.fcntl(os.open("/etc", os.O_RDONLY), fcntl.F_DUPFD, FORGOTTEN_FD)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    before = Path("/proc/self/mountinfo").read_text().splitlines()
    paths = Paths(Path(request.root), Path(request.run))
    stdin = os.memfd_create("stdin")
    os.write(stdin, request.stdin.encode())
    os.lseek(stdin, 0, os.SEEK_SET)
    out, their_out = os.pipe()
    err, their_err = os.pipe()
    begin = time.perf_counter()
    try:
        launched = launch(
            request.plan, paths=paths, level=level, stdio=Stdio(stdin, their_out, their_err)
        )
    except PydockError as error:
        return failed(error, level)
    for fd in (their_out, their_err, stdin):
        os.close(fd)
    after = Path("/proc/self/mountinfo").read_text().splitlines()
    try:
        launched.init.start()
    except PydockError as error:
        os.waitid(os.P_PIDFD, launched.init.pidfd, os.WEXITED)
        launched.cgroup.remove()
        return failed(error, level)
    if request.abandon:
        os.write(report_fd, msgspec.json.encode(Report(pid=launched.init.pid, level=level)))
        os.kill(os.getpid(), signal.SIGKILL)
    if request.signal:
        launched.init.send_signal(request.signal)
    stdout, stderr = read_all(out, err)
    return finished(launched, level, stdout, stderr, sorted(set(after) - set(before)), begin=begin)


def finished(
    launched: Launched, level: str, stdout: str, stderr: str, mounts: list[str], *, begin: float
) -> Report:
    result = os.waitid(os.P_PIDFD, launched.init.pidfd, os.WEXITED)
    assert result
    seconds = time.perf_counter() - begin
    oom_kills = launched.cgroup.oom_kills()
    launched.init.close()
    launched.cgroup.remove()
    by_signal = result.si_code != os.CLD_EXITED
    return Report(
        exit_code=result.si_status + (128 if by_signal else 0),
        stdout=stdout,
        stderr=stderr,
        oom_kills=oom_kills,
        isolation=launched.isolation,
        not_applied=launched.not_applied,
        pid=launched.init.pid,
        level=level,
        mounts_left=mounts,
        seconds=seconds,
    )


def failed(error: PydockError, level: str) -> Report:
    return Report(
        error=type(error).__name__, message=error.message, way_out=error.way_out, level=level
    )


def read_all(*fds: int) -> list[str]:
    """What comes from each descriptor until its end; closes them."""
    data = dict.fromkeys(fds, b"")
    with selectors.DefaultSelector() as selector:
        for fd in fds:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                chunk = os.read(key.fd, 65536)
                data[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [data[fd].decode(errors="replace") for fd in fds]


if __name__ == "__main__":
    main()
