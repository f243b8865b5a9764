"""Filters in force, in real children: what passes, what fails and how."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import pytest
from pydock_engine.errors import SyscallError
from pydock_engine.oci.seccomp import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from pydock_engine.runtime import syscalls
from pydock_engine.runtime.seccomp.program import flags_of, install, program_for

from tests.runtime.seccomp.children import (
    MACHINE,
    NUMBERS,
    docker_like,
    error_of,
    in_child,
    output_under,
    under,
)

pytestmark = pytest.mark.skipif(
    "Seccomp_filters:" not in Path("/proc/self/status").read_text(),
    reason="needs a kernel with CONFIG_SECCOMP_FILTER (and Linux 5.9, which counts filters)",
)

WRONG = (-1,) * 6
"""Arguments no call accepts: should a filter let it pass, nothing comes of it."""

REFUSED_TEXT = """
    acct add_key bpf clock_settime delete_module fanotify_init finit_module fsconfig fsopen fspick
    get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup kcmp kexec_file_load
    kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages
    open_by_handle_at open_tree perf_event_open pivot_root pidfd_getfd process_madvise quotactl
    quotactl_fd reboot request_key setdomainname sethostname setns settimeofday swapoff swapon
    syslog umount2 unshare userfaultfd
"""
REFUSED = REFUSED_TEXT.split()


def deny(*names: str, action: str = "SCMP_ACT_ERRNO", **more: object) -> LinuxSeccomp:
    """Everything is allowed but these."""
    rule = LinuxSyscall(names=names, action=action, **more)  # type: ignore[arg-type]
    return LinuxSeccomp(default_action="SCMP_ACT_ALLOW", syscalls=(rule,))


# -- the default profile -----------------------------------------------------------------------


def test_calls_that_reach_out_of_a_container_are_refused() -> None:
    # By an error that the kernel has for none of them, so that it can only be the filter's.
    seccomp = msgspec.structs.replace(docker_like(), default_errno_ret=errno.EXDEV)
    answers = under(seccomp, lambda: {name: error_of(name, *WRONG) for name in REFUSED})
    assert answers == str(dict.fromkeys(REFUSED, "EXDEV"))


def test_refused_means_not_permitted() -> None:
    assert under(docker_like(), lambda: error_of("keyctl", *WRONG)) == "EPERM"


def test_a_capability_brings_its_calls() -> None:
    seccomp = docker_like("CAP_SYS_ADMIN")
    assert under(seccomp, lambda: error_of("setns", *WRONG)) == "EBADF"


def test_calls_newer_than_the_profile_do_not_exist() -> None:
    assert under(docker_like(), lambda: error_of("file_setattr", *WRONG)) == "ENOSYS"


def test_clone3_sends_the_c_library_back_to_clone() -> None:
    assert under(docker_like(), lambda: error_of("clone3", *WRONG)) == "ENOSYS"


@pytest.mark.parametrize("namespace", ["NEWUSER", "NEWNS", "NEWPID", "NEWNET", "NEWCGROUP"])
def test_clone_makes_no_namespaces(namespace: str) -> None:
    flags = getattr(syscalls, f"CLONE_{namespace}") | signal.SIGCHLD
    assert under(docker_like(), lambda: clone(flags)) == "EPERM"
    assert under(docker_like(), lambda: clone(signal.SIGCHLD)) == "ok"


def clone(flags: int) -> str:
    parent = os.getpid()
    answer = error_of("clone", flags, 0, 0, 0, 0)
    if os.getpid() != parent:
        os._exit(0)
    if answer == "ok":
        os.wait()
    return answer


@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_VSOCK | 1 << 32, 38])
def test_a_family_that_leaves_the_container_is_refused(family: int) -> None:
    assert under(docker_like(), lambda: error_of("socket", family, 0, 0)) == "EPERM"


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET, socket.AF_INET | 1 << 32])
def test_ordinary_sockets_are_made(family: int) -> None:
    assert under(docker_like(), lambda: error_of("socket", family, 1, 0)) == "ok"


def test_only_harmless_personalities_can_be_taken() -> None:
    no_randomization = 0x0040000
    assert under(docker_like(), lambda: error_of("personality", 0xFFFFFFFF)) == "ok"
    assert under(docker_like(), lambda: error_of("personality", no_randomization)) == "EPERM"


def test_programs_run_as_ever() -> None:
    script = "test -d / && echo $(echo one; echo two) | cat"
    assert output_under(docker_like(), ["/bin/sh", "-c", script]) == "one two\n"


def test_python_runs_as_ever() -> None:
    program = (
        "import asyncio, multiprocessing, socket, subprocess, tempfile, threading\n"
        "seen = []\n"
        "thread = threading.Thread(target=seen.append, args=[1]); thread.start(); thread.join()\n"
        "seen.append(subprocess.run(['/bin/true']).returncode)\n"
        "tempfile.TemporaryFile().close()\n"
        "left, right = socket.socketpair(); left.send(b'x'); seen.append(right.recv(1))\n"
        "multiprocessing.Lock()\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "print(seen)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    assert output_under(docker_like(), command) == "[1, 0, b'x']\n"


# -- actions -----------------------------------------------------------------------------------


def test_the_errno_asked_for_comes_back() -> None:
    seccomp = deny("getppid", errno_ret=errno.ENOTEMPTY)
    assert under(seccomp, lambda: error_of("getppid")) == "ENOTEMPTY"
    assert under(seccomp, lambda: error_of("getpid")) == "ok"


@pytest.mark.parametrize("action", ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"])
def test_a_fatal_action_ends_the_process_with_sigsys(action: str) -> None:
    seccomp = deny("getppid", action=f"SCMP_ACT_{action}")
    assert under(seccomp, lambda: error_of("getppid")) == "SIGSYS"


def test_trap_can_be_handled() -> None:
    def call() -> str:
        caught: list[int] = []
        signal.signal(signal.SIGSYS, lambda number, frame: caught.append(number))
        error_of("getppid")
        return str(caught == [signal.SIGSYS])

    assert under(deny("getppid", action="SCMP_ACT_TRAP"), call) == "True"


def test_trace_without_a_tracer_fails_and_log_lets_pass() -> None:
    assert under(deny("getppid", action="SCMP_ACT_TRACE"), lambda: error_of("getppid")) == "ENOSYS"
    assert under(deny("getppid", action="SCMP_ACT_LOG"), lambda: error_of("getppid")) == "ok"


def test_arguments_are_compared_by_the_kernel_as_by_us() -> None:
    # lseek on a descriptor that is not open: EBADF where the filter lets it pass.
    low, high = 5, (1 << 40) + 5
    args = (
        LinuxSeccompArg(index=1, value=high, op="SCMP_CMP_GE"),
        LinuxSeccompArg(index=2, value=2, value_two=2, op="SCMP_CMP_MASKED_EQ"),
    )
    seccomp = deny("lseek", args=args, errno_ret=errno.EXDEV)
    calls = [(high, 2), (high, 3), (high, 1), (high - 1, 2), (low, 2), (high + (1 << 33), 2)]
    answers = under(seccomp, lambda: [error_of("lseek", 999, *call) for call in calls])
    assert answers == str(["EXDEV", "EXDEV", "EBADF", "EBADF", "EBADF", "EXDEV"])


def test_children_and_executed_programs_inherit_the_filter() -> None:
    seccomp = deny("mkdir", "mkdirat", errno_ret=errno.EXDEV)
    script = "import os\ntry: os.mkdir('/nowhere/x')\nexcept OSError as error: print(error.errno)"
    said = output_under(seccomp, [sys.executable, "-c", script])
    assert said == f"{errno.EXDEV}\n"


# -- another way into the kernel ---------------------------------------------------------------


@pytest.mark.skipif(MACHINE != "x86_64", reason="needs x86_64: its 32-bit way into the kernel")
@pytest.mark.parametrize(
    ("listed", "name", "answer"),
    [(True, "getpid", "ok"), (True, "mount", "EXDEV"), (False, "getpid", "SIGSYS")],
)
def test_32_bit_calls_have_their_own_numbers(listed: bool, name: str, answer: str) -> None:
    if not has_32_bit_calls():
        pytest.skip("needs a kernel with CONFIG_IA32_EMULATION")
    seccomp = msgspec.structs.replace(docker_like(), default_errno_ret=errno.EXDEV)
    if not listed:
        seccomp = msgspec.structs.replace(seccomp, architectures=("SCMP_ARCH_X86_64",))
    number = {"getpid": 20, "mount": 21}[name]
    assert under(seccomp, lambda: call_32_bit(number)) == answer


def has_32_bit_calls() -> bool:
    return in_child(lambda: call_32_bit(20)) == "ok"


def call_32_bit(number: int) -> str:
    """`mov eax, number; int 0x80; ret`, from 64-bit code."""
    import ctypes

    code = b"\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\x48\x98\xc3"
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result = ctypes.CFUNCTYPE(ctypes.c_long)(address)()
    return "ok" if result >= 0 else errno.errorcode[-result]


# -- putting into force ------------------------------------------------------------------------


def test_without_no_new_privs_and_capabilities_nothing_is_installed() -> None:
    program = program_for(docker_like(), MACHINE)

    def child() -> str:
        syscalls.capset(0, 0, 0)
        with pytest.raises(SyscallError, match=r"seccomp .*no_new_privs.*EACCES") as caught:
            install(program)
        return str(caught.value.facts["errno"])

    assert in_child(child) == str(errno.EACCES)


@pytest.mark.root
def test_the_administrator_needs_no_no_new_privs() -> None:
    program = program_for(docker_like(), MACHINE)

    def child() -> str:
        install(program)
        status = Path("/proc/self/status").read_text()
        return str("NoNewPrivs:\t0" in status and "Seccomp:\t2" in status)

    assert in_child(child) == "True"


@pytest.mark.parametrize("program", [b"", b"\0" * 7, b"\0" * 8, b"\x06\0\0\0\0\0\0\0" * 4097])
def test_a_program_the_kernel_refuses_is_an_error(program: bytes) -> None:
    def child() -> str:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        with pytest.raises(SyscallError, match="seccomp: Invalid argument"):
            install(program)
        return "refused"

    assert in_child(child) == "refused"


@pytest.mark.parametrize("flag", ["TSYNC", "LOG", "SPEC_ALLOW"])
def test_flags_are_taken_by_the_kernel(flag: str) -> None:
    seccomp = deny("getppid")
    seccomp = msgspec.structs.replace(seccomp, flags=(f"SECCOMP_FILTER_FLAG_{flag}",))
    assert under(seccomp, lambda: error_of("getppid")) == "EPERM"


def test_the_child_imports_nothing() -> None:
    program, flags = program_for(docker_like(), MACHINE), flags_of(docker_like())

    def child() -> str:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        before = set(sys.modules)
        install(program, flags)
        return str(set(sys.modules) - before)

    assert in_child(child) == "set()"


def test_a_program_of_the_largest_size_can_be_installed() -> None:
    args = [LinuxSeccompArg(index=0, value=n, op="SCMP_CMP_EQ") for n in range(1012)]
    rules = [LinuxSyscall(names=("getppid",), action="SCMP_ACT_ERRNO", args=(arg,)) for arg in args]
    seccomp = LinuxSeccomp(default_action="SCMP_ACT_ALLOW", syscalls=tuple(rules))
    assert len(program_for(seccomp, MACHINE)) // 8 > 4000
    assert under(seccomp, lambda: [error_of("getppid", n) for n in (0, 1011, 1012)]) == str(
        ["EPERM", "EPERM", "ok"]
    )


def test_every_name_here_is_a_real_call() -> None:
    assert set(REFUSED) <= NUMBERS.keys()
