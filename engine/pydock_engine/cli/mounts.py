"""`--volume` and `--tmpfs` as they are typed, relative to the caller's working folder."""

from __future__ import annotations

import os
import posixpath

from ..container.options import BindMount
from ..errors import Unsupported, UsageError

_TMPFS_SWITCHES = frozenset(
    [
        "ro",
        "rw",
        "nosuid",
        "suid",
        "nodev",
        "dev",
        "noexec",
        "exec",
        "noatime",
        "atime",
        "sync",
        "async",
        "dirsync",
    ]
)
_TMPFS_VALUES = frozenset(["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"])


def parse_volume(text: str) -> BindMount:
    """One `SOURCE:TARGET[:ro|rw]`; a relative SOURCE starts at the caller's working folder.

    Raises
    ------
    UsageError
        No target, a relative target, or an unknown mode.
    Unsupported
        A bare name: docker would make a named volume of it.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(
            f"{text!r} is not a volume", way_out="write SOURCE:TARGET, as in ./data:/data:ro"
        )
    source, target = parts[0], parts[1]
    mode = parts[2] if len(parts) == 3 else "rw"
    if mode not in ("ro", "rw"):
        raise UsageError(f"{text!r}: unknown mode {mode!r}", way_out="use ro or rw")
    return BindMount(
        source=_host_path(source, text), target=_target(target, text), read_only=mode == "ro"
    )


def parse_tmpfs(text: str) -> str:
    """`TARGET[:OPTIONS]`, checked: an absolute target and options that mount(8) knows of tmpfs."""
    target, _, options = text.partition(":")
    _target(target, text)
    for option in filter(None, options.split(",")):
        name, equals, _ = option.partition("=")
        if name not in (_TMPFS_VALUES if equals else _TMPFS_SWITCHES):
            raise UsageError(
                f"{text!r}: unknown option {option!r}",
                way_out="use size=, mode=, uid=, gid=, ro, noexec …, as in /tmp:size=64m,mode=1777",
            )
    return text


def _host_path(source: str, text: str) -> str:
    if "\0" in source:
        raise UsageError(f"{text!r}: a path cannot hold a zero byte")
    if source.startswith("~"):
        source = os.path.expanduser(source)
    elif "/" not in source and source not in (".", ".."):
        raise Unsupported(
            f"{text!r} names a volume, and named volumes are not there yet",
            way_out=f"for the folder of that name write ./{text}",
        )
    return os.path.abspath(source)


def _target(target: str, text: str) -> str:
    if not target.startswith("/") or "\0" in target:
        raise UsageError(
            f"{text!r}: the place in the container must be an absolute path",
            way_out=f"write /{target.lstrip('./')} instead of {target}",
        )
    normal = posixpath.normpath(target)
    if normal in ("/", "//"):
        raise UsageError(
            f"{text!r}: the root of the container cannot be mounted over",
            way_out="choose a folder below it, such as /data",
        )
    return normal
