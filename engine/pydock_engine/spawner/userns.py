"""Which isolation level this process can have, and getting there: once, before the first fork.

Rootless, the spawner moves into a user namespace in which its user is root. A throw-away child
makes that namespace and waits while its parent, still outside, has `newuidmap` and `newgidmap`
write the maps; a map cannot be written twice, so a failed attempt costs a child and not
the spawner. Joining it afterwards needs no privilege: the owner of a user namespace has every
capability in it (user_namespaces(7)).
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from ..errors import Unsupported
from ..runtime import syscalls

CAP_SYS_ADMIN = 21
MIN_SUBORDINATE_IDS = 65535
"""Below this `nobody` (65534) and the users of most images have no place."""

HELPER_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Level:
    """`name` is root, rootless, rootless-single or none; `reason` why it is not a better one."""

    name: str
    reason: str = ""

    @property
    def of_files(self) -> str:
        """How layers are unpacked: without any namespace, owners can be recorded all the same."""
        return "rootless-single" if self.name == "none" else self.name

    def refuse_containers(self) -> None:
        """Raises Unsupported when none can run here."""
        if self.name == "none":
            raise Unsupported(
                f"containers cannot run here: {self.reason}",
                way_out="allow user namespaces (sysctl user.max_user_namespaces,"
                " kernel.apparmor_restrict_unprivileged_userns), or run as root",
            )


def enter() -> Level:
    """Takes this (single-threaded) process to the best level it can have."""
    if os.geteuid() == 0 and has_sys_admin():
        return _present_root()
    try:
        ranges = subordinate_ranges(os.getuid())
    except LookupError as error:
        return _single(str(error))
    try:
        _join_mapped(ranges)
    except OSError as error:
        return _single(f"subordinate ids cannot be used: {error}")
    return Level("rootless")


def has_sys_admin() -> bool:
    return bool(syscalls.capget()[0] >> CAP_SYS_ADMIN & 1)


def _present_root() -> Level:
    """Root already; inside somebody's user namespace that is what we would have made ourselves."""
    mapped = sum(int(line.split()[2]) for line in _lines(Path("/proc/self/uid_map")))
    if mapped == 1:
        return Level("rootless-single", "this is a user namespace with a single id")
    if mapped < 1 << 31:
        return Level("rootless", "this is a user namespace with some ids only")
    return Level("root")


@dataclass(frozen=True)
class Ranges:
    """What newuidmap and newgidmap are asked for: `inside outside count` triples."""

    uids: tuple[int, ...]
    gids: tuple[int, ...]


def subordinate_ranges(uid: int, etc: Path = Path("/etc")) -> Ranges:
    """The maps of `uid`: itself as 0, its subordinate ids from 1 on.

    Raises
    ------
    LookupError
        There are none, or too few; the message says what to do.
    """
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    for helper in ("newuidmap", "newgidmap"):
        if which(helper) is None:
            raise LookupError(f"{helper} is not installed (apt-get install uidmap)")
    return Ranges(
        _triples(uid, _ranges_of(etc / "subuid", name, uid)),
        _triples(os.getgid(), _ranges_of(etc / "subgid", name, uid)),
    )


def _ranges_of(file: Path, name: str, uid: int) -> list[tuple[int, int]]:
    found = []
    for line in _lines(file):
        owner, _, rest = line.partition(":")
        start, _, count = rest.partition(":")
        if owner in (name, str(uid)) and start.isdigit() and count.strip().isdigit():
            found.append((int(start), int(count)))
    if sum(count for _, count in found) < MIN_SUBORDINATE_IDS:
        raise LookupError(
            f"{file} gives {name} fewer than {MIN_SUBORDINATE_IDS} ids"
            f" (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name})"
        )
    return found


def _triples(own: int, ranges: list[tuple[int, int]]) -> tuple[int, ...]:
    triples = [0, own, 1]
    inside = 1
    for start, count in ranges:
        triples += [inside, start, count]
        inside += count
    return tuple(triples)


def _join_mapped(ranges: Ranges) -> None:
    """Into a user namespace whose maps newuidmap and newgidmap wrote. Raises OSError."""
    child, hold = _hold_namespace()
    try:
        _run_helper("newuidmap", child, ranges.uids)
        _run_helper("newgidmap", child, ranges.gids)
        with open(f"/proc/{child}/ns/user", "rb") as namespace:
            syscalls.setns(namespace.fileno(), syscalls.CLONE_NEWUSER)
    finally:
        os.close(hold)
        os.waitpid(child, 0)


def _hold_namespace() -> tuple[int, int]:
    """(pid, descriptor): a child inside a new user namespace, until the descriptor is closed."""
    told, tell = os.pipe()
    waits, hold = os.pipe()
    child = os.fork()
    if child == 0:
        _sit_in_namespace(tell, waits, hold)
    os.close(tell)
    os.close(waits)
    answer = os.read(told, 16)
    os.close(told)
    if answer:
        os.close(hold)
        os.waitpid(child, 0)
        number = int(answer)
        raise OSError(number, f"unshare of a user namespace: {os.strerror(number)}")
    return child, hold


def _sit_in_namespace(tell: int, waits: int, hold: int) -> None:
    status = 0
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(hold)
        try:
            syscalls.unshare(syscalls.CLONE_NEWUSER)
        except OSError as error:
            os.write(tell, str(error.errno).encode())
        os.close(tell)
        os.read(waits, 1)
    except BaseException:
        status = 1
    finally:
        os._exit(status)


def _run_helper(helper: str, pid: int, triples: tuple[int, ...]) -> None:
    command = [helper, str(pid), *map(str, triples)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=HELPER_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{helper} did not end") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise OSError(said.splitlines()[-1])


def _single(reason: str) -> Level:
    """A user namespace with one id: all that the kernel grants without help."""
    uid, gid = os.getuid(), os.getgid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except OSError as error:
        why = f"user namespaces are refused ({os.strerror(error.errno or 0)}); {reason}"
        return Level("none", why)
    # Without this the kernel lets no one map a group (CVE-2014-8989).
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1\n")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1\n")
    return Level("rootless-single", reason)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
