"""The disks that are kept between runs: Debian with its kernel, and the Python packages."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.images import cache_folder
from tests.vm import recipe

ROOT_SIZE = "4G"
"""Of a sparse file: room for what the tests write, none of it kept."""
PYTHON_SIZE = "512M"


@dataclass(frozen=True)
class Debian:
    """A kept folder: what the machine boots from."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        return self.folder / "initramfs"

    @property
    def disk(self) -> Path:
        return self.folder / "root.ext4"


def debian() -> Debian:
    """Debian and its kernel; made by debootstrap (a minute or two) unless it is kept already."""
    return Debian(_kept("vm-debian", recipe.debian_key(), _make_debian))


def python_packages() -> Path:
    """The disk with the Python packages, for the machine's own Python."""
    return _kept("vm-python", recipe.python_key(), _make_python_packages) / "packages.ext4"


def _kept(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder `kind`-`key` of the cache, filled by `make` once; older keys are removed."""
    cache = cache_folder()
    kept = cache / f"{kind}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{kind}.lock"):
        if kept.exists():
            return kept
        print(f"test-vm: making {kept}", flush=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{kind}.") as place:
            made = Path(place, "made")
            made.mkdir()
            make(made)
            for old in cache.glob(f"{kind}-*"):
                shutil.rmtree(old)
            made.rename(kept)
    return kept


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_debian(made: Path) -> None:
    root = made.parent / "root"
    # A mount namespace of its own: whatever debootstrap mounts goes with it, however it ends.
    _call(
        *("unshare", "--mount", "debootstrap", "--variant=minbase"),
        f"--include={','.join(recipe.PACKAGES)}",
        *(recipe.SUITE, str(root)),
    )
    version = _unpack_kernel(root)
    shutil.move(root / "boot/unpacked/boot" / f"vmlinuz-{version}", made / "vmlinuz")
    _keep_modules(root, version)
    _make_initramfs(root, version, made / "initramfs")
    for waste in (
        "boot",
        "var/cache/apt",
        "var/lib/apt/lists",
        "usr/share/doc",
        "usr/share/locale",
    ):
        shutil.rmtree(root / waste)
    _make_file_system(root, made / "root.ext4", ROOT_SIZE)


def _unpack_kernel(root: Path) -> str:
    """Downloads the kernel with the new root's own apt and unpacks it there; its version.

    Unpacked only: its installation would want an initramfs and a boot loader.
    """
    _in_root(root, "apt-get", "update", "--quiet=2")
    depends = ("apt-cache", "depends", "--important", recipe.KERNEL_PACKAGE)
    package = _in_root(root, *depends).rpartition("Depends: ")[2].strip()
    _in_root(root, "sh", "-c", f"cd /boot && apt-get download --quiet=2 {package}")
    # Not straight to /, where its folder lib would replace the link to usr/lib.
    _in_root(root, "sh", "-c", "dpkg-deb --extract /boot/*.deb /boot/unpacked")
    shutil.move(root / "boot/unpacked/lib/modules", root / "usr/lib/modules")
    return package.removeprefix("linux-image-")


def _keep_modules(root: Path, version: str) -> None:
    """Removes the modules that are not asked for (nine in ten)."""
    _in_root(root, "depmod", version)
    kept = set(_module_files(root, version, recipe.BOOT_MODULES + recipe.MODULES))
    for module in (root / "lib/modules" / version).rglob("*.ko"):
        if module not in kept:
            module.unlink()
    _in_root(root, "depmod", version)


def _module_files(root: Path, version: str, names: tuple[str, ...]) -> list[Path]:
    """The files of these modules, each after those it depends on."""
    folder = root / "lib/modules" / version
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        needs[Path(file).stem.replace("-", "_")] = [*reversed(others.split()), file]
    found = (folder / file for name in names for file in needs[name])
    return list(dict.fromkeys(found))


def _make_initramfs(root: Path, version: str, target: Path) -> None:
    """busybox, the modules that lead to the root file system, and guest/initramfs as its init."""
    tree = target.parent.parent / "tree"
    for folder in ("bin", "dev", "proc", "root", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy2(root / "bin/busybox", tree / "bin/busybox")
    shutil.copy2(recipe.HERE / "guest" / "initramfs", tree / "init")
    for number, module in enumerate(_module_files(root, version, recipe.BOOT_MODULES)):
        shutil.copy2(module, tree / "modules" / f"{number:02}-{module.name}")
    # Debian's static busybox runs anywhere; cpio itself may be missing here.
    busybox = str(tree / "bin/busybox")
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with target.open("wb") as output:
        subprocess.run(
            [busybox, "cpio", "-o", "-H", "newc"],
            cwd=tree,
            input=names.encode(),
            stdout=output,
            stderr=subprocess.PIPE,
            check=True,
        )


def _make_python_packages(made: Path) -> None:
    tree = made.parent / "tree"
    version = ".".join(map(str, recipe.PYTHON))
    _call(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--root-user-action=ignore", "--target", str(tree), "--only-binary=:all:"),
        *("--python-version", version, "--platform", "manylinux2014_x86_64"),
        *recipe.requirements(),
    )
    _make_file_system(tree, made / "packages.ext4", PYTHON_SIZE)


def _make_file_system(tree: Path, target: Path, size: str) -> None:
    """`tree` as an ext4 image, owners and modes included, without mounting anything."""
    program = shutil.which("mke2fs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "mke2fs"
    _call(program, "-q", "-t", "ext4", "-m", "0", "-d", str(tree), str(target), size)


def _in_root(root: Path, *command: str) -> str:
    """What `command` prints, run in the new root."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    env |= {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
    return _call("/usr/sbin/chroot", str(root), *command, env=env)


def _call(*command: str, env: dict[str, str] | None = None) -> str:
    """What `command` prints; ends with its last words when it fails."""
    result = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode:
        words = (result.stdout + result.stderr)[-2000:]
        sys.exit(f"test-vm: {' '.join(command[:4])} … failed ({result.returncode}):\n{words}")
    return result.stdout
