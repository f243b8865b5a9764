"""What the user's process is: session, limits, users, capabilities. Applied by init to itself."""

from __future__ import annotations

import errno
import os
import resource
import signal

from .. import errors
from ..oci.runtime import Capabilities, Process, Rlimit
from . import capabilities, syscalls
from .steps import step

_RLIMITS = {name: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
_SIGNALS = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))


def new_session(*, keyring: bool = True) -> None:
    """A session and a keyring of its own, and signals as a program expects to find them."""
    os.setsid()
    if keyring:
        with step("keyctl"):
            _join_keyring()
    # execve resets handlers but keeps what is ignored: by Python (SIGPIPE), by a shell that
    # started us in the background (SIGINT, SIGQUIT).
    for number in _SIGNALS:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _join_keyring() -> None:
    try:
        syscalls.join_session_keyring()
    except OSError as error:
        if error.errno == errno.EDQUOT:
            raise errors.Unsupported(
                "no key quota is left for another container of this user",
                way_out="raise it with `sysctl kernel.keys.maxkeys=2000`",
            ) from error
        if error.errno != errno.ENOSYS:  # a kernel without keys has none to protect
            raise


def apply_limits(process: Process) -> None:
    if process.oom_score_adj is not None:
        with step("write /proc/self/oom_score_adj"):
            fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, str(process.oom_score_adj).encode())
            os.close(fd)
    for limit in process.rlimits:
        _set_rlimit(limit)


def _set_rlimit(limit: Rlimit) -> None:
    kind = _RLIMITS.get(limit.type)
    if kind is None:
        raise errors.UsageError(f"unknown resource limit {limit.type}")
    with step("setrlimit", limit.type):
        try:
            resource.setrlimit(kind, (_limit(limit.soft), _limit(limit.hard)))
        except ValueError as error:  # Python's word for EPERM here
            raise OSError(errno.EPERM, str(error)) from error


def _limit(value: int) -> int:
    return resource.RLIM_INFINITY if value >= 2**63 else value  # the kernel's ~0, unsigned


def become(process: Process) -> None:
    """Drops to the user and capabilities of `process`; nothing privileged works afterwards."""
    user, wanted = process.user, process.capabilities or Capabilities()
    if user.umask is not None:
        os.umask(user.umask)
    bounding = capabilities.mask(wanted.bounding)
    effective = capabilities.mask(wanted.effective)
    permitted = capabilities.mask(wanted.permitted)
    inheritable = capabilities.mask(wanted.inheritable)
    with step("prctl", "PR_CAPBSET_DROP"):
        capabilities.drop_bounding(bounding)
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    with step("setgroups"):
        _set_groups(user.additional_gids)
    with step("setresgid", str(user.gid)):
        os.setresgid(user.gid, user.gid, user.gid)
    with step("setresuid", str(user.uid)):
        os.setresuid(user.uid, user.uid, user.uid)
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 0)
    with step("capset"):
        syscalls.capset(effective, permitted, inheritable)
    with step("prctl", "PR_CAP_AMBIENT"):
        capabilities.set_ambient(capabilities.mask(wanted.ambient))
    if process.no_new_privileges:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)


def _set_groups(gids: tuple[int, ...]) -> None:
    try:
        os.setgroups(gids)
    except PermissionError:
        # A namespace with one id has setgroups denied; the groups stay, unmapped and harmless.
        if gids or _may_set_groups():
            raise


def _may_set_groups() -> bool:
    with open("/proc/self/setgroups") as file:
        return file.read().strip() == "allow"
