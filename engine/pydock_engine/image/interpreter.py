"""The Python that runs us, as the one to put into an image: where it is and what belongs to it."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig

import msgspec


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """The base interpreter, whatever shim or virtual environment led to it. Paths are absolute."""

    executable: str
    prefix: str
    version: str
    """`3.11.7`."""
    stdlib: tuple[str, ...]
    """Folders of the standard library (two where pure and compiled parts are apart)."""
    packages: tuple[str, ...]
    """Folders where pip and its like may be found, best first."""

    @property
    def short_version(self) -> str:
        return ".".join(self.version.split(".")[:2])

    def fingerprint(self) -> str:
        """Changes when the interpreter or its library does; costs a few stat calls."""
        seen = [msgspec.json.encode(self)]
        for path in (os.path.realpath(self.executable), *(f"{d}/os.py" for d in self.stdlib)):
            try:
                status = os.stat(path)
            except OSError:
                continue
            seen.append(f"{path}:{status.st_size}:{status.st_mtime_ns}".encode())
        return hashlib.sha256(b"\n".join(seen)).hexdigest()


def current_interpreter() -> Interpreter:
    """The interpreter of this process.

    `sys._base_executable` is what a virtual environment was made from, and a shim's exec'd
    interpreter has its own path there; it is private, but the venv module relies on it, too.
    """
    executable = getattr(sys, "_base_executable", "") or sys.executable
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    base |= {"installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
    stdlib = [sysconfig.get_path(name, vars=base) for name in ("stdlib", "platstdlib")]
    return Interpreter(
        executable=os.path.realpath(executable),
        prefix=os.path.realpath(sys.base_prefix),
        version=".".join(map(str, sys.version_info[:3])),
        stdlib=tuple(dict.fromkeys(map(os.path.realpath, stdlib))),
        packages=tuple(dict.fromkeys(map(os.path.realpath, _package_folders(base)))),
    )


def _package_folders(base: dict[str, str]) -> list[str]:
    """Of the base interpreter first: what a virtual environment has is its own affair, but may
    be the only pip there is.
    """
    short = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    candidates = [
        f"{sys.base_prefix}/lib/{short}/site-packages",
        f"{sys.base_prefix}/lib64/{short}/site-packages",
        "/usr/lib/python3/dist-packages" if sys.base_prefix == "/usr" else "",
        f"/usr/local/lib/{short}/dist-packages" if sys.base_prefix == "/usr" else "",
        *site_packages(),
    ]
    return [path for path in candidates if path and os.path.isdir(path)]


def site_packages() -> tuple[str, ...]:
    """The folders this process imports installed packages from, in the order of `sys.path`.

    For `--with-env`: shown read-only in the container at the same paths, and listed in its
    PYTHONPATH. Folders of the base interpreter's own library are not among them.
    """
    known = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    found = [
        path
        for path in sys.path
        if path and os.path.isdir(path)
        if path in known or os.path.basename(path) in ("site-packages", "dist-packages")
    ]
    return tuple(dict.fromkeys(found))
