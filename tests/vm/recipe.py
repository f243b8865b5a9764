"""What the machine is made of, and the hashes its parts are kept under."""

from __future__ import annotations

import configparser
import hashlib
import re
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1]

SUITE = "bookworm"
KERNEL_PACKAGE = "linux-image-amd64"
PYTHON = (3, 11)
"""The suite's Python: what compiled wheels are picked for."""
PACKAGES = ("busybox-static", "docker-registry", "kmod", "procps", "python3", "uidmap")

BOOT_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
"""What it takes to reach the root file system, in this order; loaded by the initramfs."""
MODULES = ("overlay", "fuse", "loop", "veth", "bridge", "tun", "dummy", "virtio_rng")
"""What the kernel may load later, with all they depend on."""

NOTEBOOK_REQUIREMENTS = frozenset(
    ("ipython", "ipywidgets", "traitlets", "pandas", "setuptools")
) | {"nbclient", "ipykernel", "jupyter-client"}
"""What setup.cfg asks for and nothing in the machine's tests imports: large, slow to install."""


def requirements() -> list[str]:
    """The Python packages the engine and its tests need, as setup.cfg writes them."""
    config = configparser.ConfigParser()
    config.read(SOURCE / "setup.cfg")
    lines = config["options"]["install_requires"] + config["options.extras_require"]["test"]
    wanted = (line.partition(";")[0].strip() for line in lines.splitlines())
    return [line for line in wanted if line and _name(line) not in NOTEBOOK_REQUIREMENTS]


def debian_key() -> str:
    """Changes with everything that decides what is on the disk with Debian."""
    script = (HERE / "guest" / "initramfs").read_text()
    builder = (HERE / "kept.py").read_text()
    return _hash(SUITE, KERNEL_PACKAGE, *PACKAGES, *BOOT_MODULES, *MODULES, script, builder)


def python_key() -> str:
    """Changes with the Python packages asked for."""
    return _hash(*map(str, PYTHON), *requirements())


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
