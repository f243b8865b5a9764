"""The kernel's door: results, errno as OSError, and a clone that is as good as os.fork()."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydock_engine.runtime import syscalls
from pydock_engine.runtime.filesystems import parse_options


def test_openat2_holds_to_its_root(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    root = os.open(tmp_path, os.O_PATH)
    try:
        for resolve in (syscalls.RESOLVE_BENEATH, syscalls.RESOLVE_NO_SYMLINKS):
            with pytest.raises(OSError, match="link"):
                syscalls.openat2(root, "link", os.O_RDONLY, 0, resolve)
        with pytest.raises(FileNotFoundError):
            syscalls.openat2(root, "link", os.O_RDONLY, 0, syscalls.RESOLVE_IN_ROOT)
        flags = os.O_CREAT | os.O_WRONLY
        made = syscalls.openat2(root, "made", flags, 0o640, syscalls.RESOLVE_BENEATH)
        assert not os.get_inheritable(made)
        os.close(made)
        assert (tmp_path / "made").stat().st_mode & 0o777 == 0o640
    finally:
        os.close(root)


@pytest.mark.parametrize(
    ("call", "number"),
    [
        (lambda: syscalls.setns(-1), errno.EBADF),
        (lambda: syscalls.prctl(-1), errno.EINVAL),
        (lambda: syscalls.move_mount(-1, -1), errno.EBADF),
        (lambda: syscalls.close_range(9, 3), errno.EINVAL),
        (lambda: syscalls.mount_setattr(-1, attr_set=1), errno.EBADF),
        (lambda: syscalls.umount2("/no/such/place"), errno.ENOENT),
        (lambda: syscalls.fsopen("no such filesystem"), None),
    ],
)
def test_refusals_are_os_errors(call, number: int | None) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        call()
    assert number is None or caught.value.errno in (number, errno.EPERM)


CLONE = """
import os, sys, threading
from pydock_engine.runtime import syscalls
import select
pid, pidfd = syscalls.clone(0)
if pid == 0:
    threading.Thread(target=lambda: None).start()   # the GIL and thread state must be sound
    os._exit(os.getpid() % 100)
assert not os.get_inheritable(pidfd)
result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
assert (result.si_pid, result.si_status) == (pid, pid % 100), result
print("sound")
"""


def test_clone_makes_a_sound_python_child() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CLONE], capture_output=True, text=True, timeout=30
    )
    assert (ended.stdout, ended.stderr) == ("sound\n", "")


def test_capabilities_can_be_read() -> None:
    effective, permitted, _ = syscalls.capget()
    assert effective & ~permitted == 0


def test_mount_options_are_sorted_by_who_understands_them() -> None:
    options = parse_options(("rbind", "rprivate", "ro", "nosuid", "rw", "size=64m", "newinstance"))
    assert options.bind
    assert options.recursive
    assert options.attributes == syscalls.MOUNT_ATTR_NOSUID
    assert options.cleared == syscalls.MOUNT_ATTR_RDONLY
    assert options.propagation == syscalls.MS_PRIVATE
    assert options.data == (("size", "64m"), ("newinstance", None))
    assert parse_options(("bind", "ridmap")).idmap
    assert parse_options(("noatime",)).cleared & 0x70
