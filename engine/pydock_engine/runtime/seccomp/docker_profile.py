"""Profiles as Docker writes them in files: rules with conditions, settled for one container.

Source: Docker's documentation, "Seccomp security profiles", and its default profile
(moby, profiles/seccomp/default.json), whose fields these are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from ... import errors
from ...oci.image import Document
from ...oci.seccomp import Action, Architecture, Flag, LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from .default_profile import kernel_version
from .numbers import abis_of

MAX_PROFILE_BYTES = 256 * 1024
"""Docker's own has 14 KB."""
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
"""`includes.arches` has Go's names."""


class ArchMap(Document, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    architecture: Architecture
    sub_architectures: tuple[Architecture, ...] | None = None


class Conditions(Document, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`includes`: all must hold for the rule to count; `excludes`: none may."""

    arches: tuple[str, ...] | None = None
    caps: tuple[str, ...] | None = None
    min_kernel: str = ""


class Rule(Document, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    names: tuple[str, ...] | None = None
    name: str = ""
    """The older form, for one name."""
    action: Action
    errno_ret: Annotated[int, msgspec.Meta(ge=0)] | None = None
    args: tuple[LinuxSeccompArg, ...] | None = None
    includes: Conditions | None = None
    excludes: Conditions | None = None
    comment: str = ""


class DockerProfile(
    Document, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    default_action: Action
    default_errno_ret: Annotated[int, msgspec.Meta(ge=0)] | None = None
    arch_map: tuple[ArchMap, ...] | None = None
    architectures: tuple[Architecture, ...] | None = None
    flags: tuple[Flag, ...] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[Rule, ...] | None = None


def decode(text: str | bytes) -> DockerProfile:
    """The profile in `text` (JSON). Raises UsageError saying where it is none."""
    if len(text) > MAX_PROFILE_BYTES:
        raise errors.UsageError(f"a seccomp profile has at most {MAX_PROFILE_BYTES} bytes")
    try:
        profile = msgspec.json.decode(text, type=DockerProfile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise errors.UsageError(f"no seccomp profile: {error}") from error
    if profile.arch_map and profile.architectures:
        raise errors.UsageError("a seccomp profile has either archMap or architectures")
    for rule in profile.syscalls or ():
        if bool(rule.name) == bool(rule.names):
            raise errors.UsageError("a rule of a seccomp profile has either name or names")
        for conditions in (rule.includes, rule.excludes):
            if conditions and conditions.min_kernel:
                _version(conditions.min_kernel)
    return profile


def settle(
    profile: DockerProfile, capabilities: Iterable[str], kernel: tuple[int, int], machine: str
) -> LinuxSeccomp:
    """What `profile` means for a container; arguments as of `default_profile`."""
    facts = frozenset(capabilities), kernel, _MACHINES.get(machine, machine)
    rules = tuple(
        LinuxSyscall(
            names=rule.names or (rule.name,),
            action=rule.action,
            errno_ret=rule.errno_ret,
            args=rule.args or (),
        )
        for rule in profile.syscalls or ()
        if _counts(rule, *facts)
    )
    return LinuxSeccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=_architectures(profile, machine),
        flags=profile.flags,
        listener_path=profile.listener_path,
        listener_metadata=profile.listener_metadata,
        syscalls=rules,
    )


def _architectures(profile: DockerProfile, machine: str) -> tuple[Architecture, ...]:
    native = abis_of(machine)[0].architecture
    for entry in profile.arch_map or ():
        if entry.architecture == native:
            return (native, *(entry.sub_architectures or ()))
    return profile.architectures or ()


def _counts(
    rule: Rule, capabilities: frozenset[str], kernel: tuple[int, int], machine: str
) -> bool:
    includes, excludes = rule.includes or Conditions(), rule.excludes or Conditions()
    if excludes.arches and machine in excludes.arches:
        return False
    if excludes.caps and capabilities & set(excludes.caps):
        return False
    if excludes.min_kernel and kernel >= _version(excludes.min_kernel):
        return False
    if includes.arches and machine not in includes.arches:
        return False
    if includes.caps and not capabilities.issuperset(includes.caps):
        return False
    return not includes.min_kernel or kernel >= _version(includes.min_kernel)


def _version(text: str) -> tuple[int, int]:
    """Raises UsageError for what is not MAJOR.MINOR."""
    version = kernel_version(text)
    if text != "{}.{}".format(*version):
        raise errors.UsageError(f"minKernel {text!r} is no kernel version like 4.8")
    return version
