"""`create`: from a bundle to a container whose init waits for `start`, and that we can leave.

Killed anywhere before the end, init ends with us (it reads end of file) and the folder stays
without a state.json: `delete --force` clears it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ... import errors
from ...oci.runtime import Spec
from .. import capabilities, idmap, sync, syscalls
from ..filesystems import open_bind
from ..seccomp.program import flags_of, program_for
from ..steps import step
from . import console, hooks, init, joining, rootfs
from .groups import Groups
from .state import Container, Record, for_hooks, open_socket_folder, socket_name, start_ticks

_BORN_INTO = {"user": syscalls.CLONE_NEWUSER, "pid": syscalls.CLONE_NEWPID}


@dataclass(frozen=True)
class CreateOptions:
    """The flags of `create`, by runc's names."""

    bundle: Path
    console_socket: str = ""
    pid_file: str = ""
    preserve_fds: int = 0
    no_pivot: bool = False
    no_new_keyring: bool = False


def create(container: Container, spec: Spec, options: CreateOptions) -> Record:
    """Makes the container; its status is `created` afterwards.

    To be called by a single-threaded process. Raises Conflict, UsageError, Unsupported,
    SyscallError, CommandNotFound …; nothing is left then.
    """
    check(spec, options)
    container.make()
    groups: Groups | None = None
    try:
        with container.locked():
            groups = container.groups(_blank(container, spec, options))
            groups.create()
            groups.apply(spec.linux.resources)
            record = _Creation(container, spec, options, groups).run()
            if options.pid_file:
                _write_pid(Path(options.pid_file), record.pid)
            return record
    except BaseException:
        if groups is not None:
            with contextlib.suppress(errors.PydockError):
                groups.remove()
        container.remove()
        raise


def check(spec: Spec, options: CreateOptions) -> None:
    """What makes no sense, or is not there yet, before anything is made."""
    kinds = {namespace.type: namespace.path for namespace in spec.linux.namespaces}
    if len(kinds) != len(spec.linux.namespaces):
        raise errors.UsageError("a kind of namespace is listed twice")
    if kinds.get("mount", "x"):
        raise errors.Unsupported("a container without a mount namespace of its own")
    for name, kind in ((spec.hostname, "uts"), (spec.domainname, "uts")):
        if name and kind not in kinds:
            raise errors.UsageError(f"cannot name a host without a {kind} namespace")
    if "user" in kinds and not kinds["user"] and not spec.linux.uid_mappings:
        raise errors.UsageError("a new user namespace needs uidMappings")
    if spec.linux.time_offsets and kinds.get("time", "x"):
        raise errors.UsageError("timeOffsets need a new time namespace")
    if spec.process.terminal and not options.console_socket:
        raise errors.UsageError("cannot allocate a terminal without --console-socket")
    if options.console_socket and not spec.process.terminal:
        raise errors.UsageError("--console-socket without process.terminal")
    if not spec.process.cwd.startswith("/"):
        raise errors.UsageError(f"process.cwd {spec.process.cwd!r} must be absolute")
    for number in range(3, 3 + options.preserve_fds):
        try:
            os.fstat(number)
        except OSError:
            raise errors.UsageError(f"--preserve-fds: {number} is not open") from None


class _Creation:
    """One run of `create`, with what its stages share."""

    def __init__(
        self, container: Container, spec: Spec, options: CreateOptions, groups: Groups
    ) -> None:
        self.container = container
        self.spec = spec
        self.options = options
        self.groups = groups
        self.record = _blank(container, spec, options)
        self.console = (
            console.connect_console(options.console_socket) if options.console_socket else None
        )
        self.new = frozenset(n.type for n in spec.linux.namespaces if not n.path)

    def run(self) -> Record:
        pid, channel = self._clone()
        try:
            self._wait_for(channel, "born")
            self.record = msgspec.structs.replace(
                self.record, pid=pid, pid_started=start_ticks(pid)
            )
            self._prepare(channel, pid)
            if self.console is not None:
                self._hand_over_terminal(channel)
            self._wait_for(channel, "mounted")
            state = for_hooks(self.record, "creating")
            hooks.run_hooks("prestart", self.spec.hooks.prestart, state)
            hooks.run_hooks("createRuntime", self.spec.hooks.create_runtime, state)
            self._send(channel, sync.Proceed())
            self._wait_for(channel, "ready")
            self.container.write(self.record)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise
        finally:
            channel.close()
        return self.record

    def _clone(self) -> tuple[int, sync.SyncChannel]:
        profile = self.spec.linux.seccomp
        filtered = None
        if profile is not None:
            filtered = program_for(profile, os.uname().machine), flags_of(profile)
        resources = self.spec.linux.resources
        guarded = self.groups.limit_devices(resources.devices if resources else ())
        joined = joining.open_named(self.spec.linux.namespaces)
        listener = self._listen()
        members, unified = self.groups.open_members()
        capabilities.last()
        if any("tmpcopyup" in mount.options for mount in self.spec.mounts):
            import shutil  # noqa: F401 - init imports nothing any more
        wishes = init.Wishes(
            record=self.record,
            site=rootfs.Site(self.spec, self.groups, self.new, guarded),
            joined=joined,
            members=members,
            listener=listener,
            filter=filtered,
            preserved_fds=self.options.preserve_fds,
            pivot=not self.options.no_pivot,
            new_keyring=not self.options.no_new_keyring,
        )
        ours, theirs = sync.SyncChannel.pair()
        flags = 0
        for kind in self.new & _BORN_INTO.keys():
            flags |= _BORN_INTO[kind]
        with step("clone"), _in_namespaces(joined, self._enter_time):
            pid, pidfd = syscalls.clone(flags, unified)
        if pid == 0:
            init.run(theirs, wishes)
        for fd in (pidfd, *members, *joined.values(), *([unified] if unified else [])):
            os.close(fd)
        theirs.close()
        listener.close()
        return pid, ours

    def _listen(self) -> socket.socket:
        folder = open_socket_folder(self.container.folder)
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(socket_name(folder))
            listener.listen(1)
        finally:
            os.close(folder)
        return listener

    def _enter_time(self) -> None:
        """Children (not we) will be in a new time namespace with the offsets asked for."""
        if "time" not in self.new:
            return
        with step("unshare", "time"):
            syscalls.unshare(syscalls.CLONE_NEWTIME)
            lines = "".join(
                f"{clock} {offset.secs} {offset.nanosecs}\n"
                for clock, offset in self.spec.linux.time_offsets.items()
            )
            if lines:
                Path("/proc/self/timens_offsets").write_text(lines)

    def _prepare(self, channel: sync.SyncChannel, pid: int) -> None:
        """What only we may do for init: maps, oom score, mounts of host files, owners of pipes."""
        linux = self.spec.linux
        userns: idmap.UserNamespace | None = None
        if "user" in self.new:
            with step("write", "uid_map"):
                idmap.write_maps(pid, linux.uid_mappings, linux.gid_mappings)
            fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            userns = idmap.UserNamespace(
                fd,
                idmap.to_host(linux.uid_mappings, 0),
                idmap.to_host(linux.gid_mappings, 0),
            )
        if self.spec.process.oom_score_adj is not None:
            with step("write", "oom_score_adj"):
                score = str(self.spec.process.oom_score_adj)
                Path(f"/proc/{pid}/oom_score_adj").write_text(score)
        give_stdio(self.spec)
        fds = self._open_mounts(userns) if _may_mount() else []
        self._send(channel, sync.Proceed(pid), tuple(fds))
        for fd in fds + ([userns.fd] if userns else []):
            os.close(fd)

    def _open_mounts(self, userns: idmap.UserNamespace | None) -> list[int]:
        binds = [mount for mount in self.spec.mounts if rootfs.is_bind(mount)]
        if len(binds) >= sync.MAX_FDS:
            raise errors.UsageError(f"{len(binds)} bind mounts: at most {sync.MAX_FDS - 1}")
        fds = [rootfs.open_root(self.spec, self.spec.root.path)]
        return fds + [open_bind(mount, userns) for mount in binds]

    def _hand_over_terminal(self, channel: sync.SyncChannel) -> None:
        fds = self._wait_for(channel, "terminal")
        if self.console is not None:
            console.hand_over(self.console, fds[0])
            self.console.close()
        os.close(fds[0])
        self._send(channel, sync.Proceed())

    def _wait_for(self, channel: sync.SyncChannel, stage: str) -> list[int]:
        message, fds = channel.receive()
        if isinstance(message, sync.Failure):
            raise sync.error_of(message)
        if not isinstance(message, sync.Reached) or message.stage != stage:
            raise errors.ProtocolError(f"init ended before it was {stage}")
        return fds

    def _send(
        self, channel: sync.SyncChannel, message: sync.Proceed, fds: tuple[int, ...] = ()
    ) -> None:
        with contextlib.suppress(BrokenPipeError):  # what it said before is read next
            channel.send(message, fds)


@contextlib.contextmanager
def _in_namespaces(joined: dict[str, int], enter_time: Callable[[], None]) -> Iterator[None]:
    """Namespaces of pids and time take children in, never who asks; back to our own after."""
    wanted = [kind for kind in ("pid", "time") if kind in joined]
    ours = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("pid", "time")}
    pid = os.getpid()
    for name in wanted:
        with step("setns", name):
            syscalls.setns(joined[name], joining.KINDS[name][1])
    enter_time()
    yield
    if os.getpid() != pid:
        return  # the child
    for kind, fd in ours.items():
        with contextlib.suppress(OSError):
            syscalls.setns(fd, joining.KINDS[kind][1])
        os.close(fd)


def give_stdio(spec: Spec) -> None:
    """Makes the user own the pipes, so that it may open /dev/stdout again."""
    user, linux = spec.process.user, spec.linux
    uid, gid = (
        idmap.to_host(linux.uid_mappings, user.uid),
        idmap.to_host(linux.gid_mappings, user.gid),
    )
    for fd in range(3):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.fchown(fd, uid, gid)


def _may_mount() -> bool:
    number = capabilities.mask(["CAP_SYS_ADMIN"])
    return bool(syscalls.capget()[0] & number)


def _blank(container: Container, spec: Spec, options: CreateOptions) -> Record:
    now = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
    return Record(
        id=container.id,
        bundle=str(options.bundle),
        rootfs=spec.root.path,
        created=f"{seconds}.{now % 10**9:09d}Z",
        pid=0,
        pid_started=0,
        groups=spec.linux.cgroups_path or f"/{container.id}",
        spec=spec,
    )


def _write_pid(path: Path, pid: int) -> None:
    """Appears complete: its reader may be waiting for it."""
    new = path.with_name(f".{path.name}")
    new.write_text(str(pid))
    new.rename(path)
