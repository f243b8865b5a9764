"""What `docker run` may be asked for, as one comparable value."""

from __future__ import annotations

import msgspec


class BindMount(msgspec.Struct, frozen=True, kw_only=True):
    """One `-v SOURCE:TARGET[:ro]`; `source` is absolute."""

    source: str
    target: str
    read_only: bool = False


class RunOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a container is created with; names follow docker's flags, units are in names.

    `None` (or an empty tuple) means "what the image or the default says".
    """

    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    """Replaces the image's; `("",)` or `()` clears it."""
    name: str | None = None
    rm: bool = False
    detach: bool = False
    env: tuple[str, ...] = ()
    """`NAME=value`, already merged from --env and --env-file; later ones win."""
    volumes: tuple[BindMount, ...] = ()
    workdir: str | None = None
    user: str | None = None
    hostname: str | None = None
    network: str = "none"
    """`none` or `host`."""
    memory_bytes: int | None = None
    cpus: float | None = None
    pids_limit: int | None = None
    read_only: bool = False
    tmpfs: tuple[str, ...] = ()
    """`TARGET[:options]`, docker's form."""
    timeout_s: float | None = None
    stop_signal: str | None = None
    userns: str | None = None
    """`host` runs as root without a user namespace of the container's own."""
    no_new_privileges: bool = True
    seccomp: str | None = None
    """`unconfined`, or the JSON text of a profile in docker's format."""
    labels: dict[str, str] = {}
    best_effort: bool = False
    """List what this machine cannot enforce in `not_applied` instead of refusing."""
    with_env: bool = False
    """Show the caller's own site-packages in the container, read-only (local image only)."""
