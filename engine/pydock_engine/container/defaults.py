"""What a container gets unless it asks for something else: Docker's choices, as data.

Source: Docker's documentation of `docker run`, and what `docker run` shows on Docker 26.
"""

from __future__ import annotations

from ..oci.runtime import Mount

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

_QUIET = ("nosuid", "noexec", "nodev")
PROC = Mount(destination="/proc", type="proc", source="proc", options=_QUIET)
DEV = Mount(
    destination="/dev",
    type="tmpfs",
    source="tmpfs",
    options=("nosuid", "strictatime", "mode=755", "size=65536k"),
)
SYS = Mount(destination="/sys", type="sysfs", source="sysfs", options=(*_QUIET, "ro"))
HOST_SYS = Mount(
    destination="/sys", type="bind", source="/sys", options=("rbind", *_QUIET, "ro", "rprivate")
)
"""With the host's network, whose sysfs only its owner may mount."""
CGROUP = Mount(
    destination="/sys/fs/cgroup", type="cgroup", source="cgroup", options=(*_QUIET, "ro")
)
MQUEUE = Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=_QUIET)
SHM = Mount(
    destination="/dev/shm",  # noqa: S108 - the container's own
    type="tmpfs",
    source="shm",
    options=(*_QUIET, "mode=1777", "size=67108864"),
)
TMPFS_OPTIONS = ("noexec", "nosuid", "nodev")
"""Docker's for --tmpfs."""


def devpts(*, with_tty_group: bool) -> Mount:
    """`with_tty_group`: gid 5 exists in the container's user namespace."""
    options = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")
    group = ("gid=5",) if with_tty_group else ()
    return Mount(destination="/dev/pts", type="devpts", source="devpts", options=options + group)
