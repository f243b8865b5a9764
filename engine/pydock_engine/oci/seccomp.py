"""The document `linux.seccomp` of OCI runtime-spec 1.2: which system calls a container may make.

Source: runtime-spec config-linux.md, "Seccomp". Actions, operators and architectures are the
strings of libseccomp's header; decoding refuses any other.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .image import Document

Action = Literal[
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
]

Operator = Literal[
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
]

Architecture = Literal[
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
]

Flag = Literal[
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
]


class LinuxSeccompArg(Document, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """One comparison of argument `index`; MASKED_EQ is `argument & value == value_two`."""

    index: Annotated[int, Meta(ge=0, le=5)]
    value: Annotated[int, Meta(ge=0)]
    value_two: Annotated[int, Meta(ge=0)] = 0
    op: Operator


class LinuxSyscall(Document, frozen=True, kw_only=True, rename="camel"):
    """What happens to the calls of these names, if all of `args` hold."""

    names: Annotated[tuple[str, ...], Meta(min_length=1)]
    action: Action
    errno_ret: Annotated[int, Meta(ge=0)] | None = None
    args: tuple[LinuxSeccompArg, ...] = ()


class LinuxSeccomp(Document, frozen=True, kw_only=True, rename="camel"):
    """A profile. `flags` of None (absent) leaves the choice to the runtime, as runc reads it."""

    default_action: Action
    default_errno_ret: Annotated[int, Meta(ge=0)] | None = None
    architectures: tuple[Architecture, ...] = ()
    flags: tuple[Flag, ...] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[LinuxSyscall, ...] = ()
