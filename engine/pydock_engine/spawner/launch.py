"""Starts the spawner: the one place where a client starts a process.

`os.posix_spawn` is safe in a threaded program. The new interpreter runs isolated (`-I -S`): no
PYTHON* variable, no user site, no `.pth` file and no module beside a notebook can get in; it is
told the few folders it needs instead, so virtual environments, editable installs and PYTHONPATH
runs work alike and it starts in a fraction of the time.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import select
import signal
import sys
import time
from pathlib import Path

from ..errors import ProtocolError, Unsupported
from ..paths import Paths

READY = b"ready"
BUSY = b"busy"
"""Another spawner holds the lock."""

READY_FD = 3
START_TIMEOUT_S = 20.0
LOG_LIMIT_BYTES = 1 << 20

NEEDED = ("msgspec", "isal", "zstandard", "elftools", "pyroute2")
"""What jobs and monitors import beyond the standard library."""

_ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR")


def launch(paths: Paths, timeout_s: float = START_TIMEOUT_S) -> bool:
    """Starts a spawner for `paths` and waits until it listens; False when one is there already.

    Raises
    ------
    ProtocolError
        It ended before it was ready, or was not ready in time; the message has its last words.
    """
    if not sys.executable:
        raise Unsupported("this Python does not know its own executable, so no spawner can start")
    ready, told = os.pipe()
    try:
        try:
            pid = _spawn(paths, told)
        finally:
            os.close(told)
        os.waitpid(pid, 0)  # it forks at once, so that no kernel ever counts it among its children
        word = _read_word(ready, time.monotonic() + timeout_s)
    finally:
        os.close(ready)
    if word not in (READY, BUSY):
        raise ProtocolError(
            f"the spawner did not start: {_last_words(paths.spawner_log)}",
            way_out=f"see {paths.spawner_log}",
        )
    return word == READY


def module_folders() -> list[str]:
    """Folders from which this interpreter would import the engine and what it needs."""
    folders = [str(Path(__file__).resolve().parents[2])]
    for name in NEEDED:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin:
            folder = Path(found.origin).resolve().parent
            folders.append(str(folder.parent if found.submodule_search_locations else folder))
    return list(dict.fromkeys(folders))


def _spawn(paths: Paths, ready: int) -> int:
    script = Path(__file__).resolve().with_name("__main__.py")
    arguments = [sys.executable, "-I", "-S", str(script)]
    arguments += [str(paths.root), str(paths.run), os.pathsep.join(module_folders())]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment["LC_ALL"] = "C.UTF-8"
    _trim(paths.spawner_log)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    log = os.open(paths.spawner_log, flags, 0o600)
    far_log, far_ready = _far(log), _far(ready)
    os.close(log)
    try:
        return os.posix_spawn(
            sys.executable,
            arguments,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, far_log, 1),
                (os.POSIX_SPAWN_DUP2, far_log, 2),
                (os.POSIX_SPAWN_DUP2, far_ready, READY_FD),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_ordinary_signals(),
        )
    finally:
        os.close(far_log)
        os.close(far_ready)


def _far(fd: int) -> int:
    """A copy well above the numbers the child wants, whatever this program has closed."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)


def _ordinary_signals() -> list[int]:
    fixed = {signal.SIGKILL, signal.SIGSTOP}
    return [int(number) for number in signal.Signals if number not in fixed and number < 32]


def _trim(log: Path) -> None:
    """A log beyond its limit becomes `spawner.log.1`: two files at most, ever."""
    try:
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_name(log.name + ".1"))
    except FileNotFoundError:
        pass


def _read_word(fd: int, deadline: float) -> bytes:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    word = b""
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        part = os.read(fd, 64)
        if not part:
            break
        word += part
    return word


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].strip() if lines else "it left no message"
