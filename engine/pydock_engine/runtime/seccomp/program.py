"""The two doors for the runtime: a profile's program, and putting it into force.

Before any fork: `program_for(profile, machine)` and `flags_of(profile)`. In the container's
init, `install(program, flags)`, and where depends on no_new_privs:

- with it, last of all: after the change of ids and capabilities, right before execve(2), so
  that the profile has to allow nothing but execve and what reports its failure;
- without it, before capabilities are dropped, while the process still has CAP_SYS_ADMIN in its
  user namespace; the rest of init then runs under the filter (setresuid, capset, prctl, chdir,
  reads and writes on the channel).

Source: seccomp(2); runtime-spec 1.2, config-linux.md, "Seccomp".
"""

from __future__ import annotations

import errno
from functools import lru_cache
from typing import Final

from ... import errors
from ...oci.seccomp import Flag, LinuxSeccomp
from .. import syscalls
from .compile import compile_profile

# linux/seccomp.h. TSYNC is about other threads, and init has none.
_FLAGS: Final[dict[Flag, int]] = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
}


@lru_cache(maxsize=64)
def program_for(seccomp: LinuxSeccomp, machine: str) -> bytes:
    """`seccomp` as a BPF program for `machine` (`os.uname().machine`), ready for `install`.

    Compiled once per profile and process: what is compiled before a fork costs its children
    nothing.

    Raises
    ------
    Unsupported
        SCMP_ACT_NOTIFY, a listener, or a machine without a table of system calls.
    UsageError
        A value out of range, or more than the kernel's 4096 instructions.
    """
    if seccomp.listener_path or seccomp.listener_metadata:
        raise errors.Unsupported(
            "seccomp profiles with a listener (listenerPath) are not supported",
            way_out="remove listenerPath and listenerMetadata, or run with --runtime crun",
        )
    return compile_profile(seccomp, machine)


def flags_of(seccomp: LinuxSeccomp) -> int:
    """The flags for `install`; without any in the profile SPEC_ALLOW, as runc does.

    Without SPEC_ALLOW kernels before 5.16 slow the whole program down (Speculative Store Bypass).

    Raises Unsupported for a flag that makes sense only with a listener.
    """
    if seccomp.flags is None:
        return _FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    result = 0
    for flag in seccomp.flags:
        if flag not in _FLAGS:
            raise errors.Unsupported(f"seccomp: {flag} is not supported", way_out="remove it")
        result |= _FLAGS[flag]
    return result


def install(program: bytes, flags: int = 0) -> None:
    """Puts `program` into force for this process and all it becomes or starts; for good.

    For a forked child: imports nothing, makes one system call.

    Raises SyscallError: EACCES without no_new_privs and CAP_SYS_ADMIN, EINVAL for a program or
    a flag the kernel refuses.
    """
    try:
        syscalls.seccomp_set_mode_filter(flags, program)
    except OSError as error:
        detail = "(needs no_new_privs or CAP_SYS_ADMIN)" if error.errno == errno.EACCES else ""
        raise errors.SyscallError.from_os_error("seccomp", error, detail) from error
