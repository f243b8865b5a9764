"""The python and packages layers of the local image."""

from __future__ import annotations

import glob
import os
import re
from typing import Final

from .host_base import add_libraries
from .host_tree import Tree
from .interpreter import Interpreter
from .shared_objects import Libraries

_LEFT_OUT: Final = re.compile(
    r"""(^|/)(tests?|idlelib|idle_test|turtledemo|tkinter|site-packages|dist-packages)$
      | (^|/)(turtle\.py|config-[^/]*|_bundled|EXTERNALLY-MANAGED)$
      | (^|/)lib-dynload/(_tkinter|_test|_ctypes_test|xx)[^/]*$
      | \.opt-[12]\.pyc$ | \.a$
    """,
    re.VERBOSE,
)
_PACKAGES: Final = ("pip", "setuptools", "wheel")
_PARTS: Final = {
    "setuptools": ("pkg_resources", "_distutils_hack", "distutils-precedence.pth"),
}
_PIP: Final = """\
#!{python}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


class Relocation:
    """Where the image has what the host has under the interpreter's prefix: below /usr/local,
    unless the system's own Python lives in /usr, where it stays.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.prefix = prefix if prefix in ("/usr", "/usr/local") else "/usr/local"

    def __call__(self, path: str) -> str:
        if path.startswith(self._prefix + "/"):
            return self.prefix + path[len(self._prefix) :]
        return path


def python_layer(python: Interpreter, base: Tree, libraries: Libraries) -> Tree:
    """The interpreter, its shared libraries and its standard library, without its tests."""
    tree = Tree(base)
    place = Relocation(python.prefix)
    executable = place(python.executable)
    if executable == python.executable and python.prefix not in ("/usr", "/usr/local"):
        executable = f"/usr/local/bin/python{python.short_version}"
    tree.host(python.executable, at=executable)
    _add_names(tree, python, executable)
    for folder in python.stdlib:
        tree.copy(folder, place(folder), _is_wanted)
        tree.folder(f"{place(folder)}/lib-dynload")  # getpath looks for it and warns
    compiled = glob.glob(f"{glob.escape(python.stdlib[-1])}/lib-dynload/*.so")
    programs = [python.executable, *(path for path in compiled if not _LEFT_OUT.search(path))]
    add_libraries(tree, libraries, programs, place=place)
    return tree


def packages_layer(python: Interpreter, below: Tree) -> Tree:
    """pip and its companions, as far as the machine has them; the folder for them in any case."""
    tree = Tree(below)
    place = Relocation(python.prefix)
    short = f"python{python.short_version}"
    own = f"{place.prefix}/lib/{short}/site-packages"
    if place.prefix == "/usr":
        own = f"/usr/local/lib/{short}/dist-packages"  # what Debian's site.py looks into
        tree.folder(f"/usr/local/lib/{short}/site-packages")
    tree.folder(own)
    for name in _PACKAGES:
        folder = next((f for f in python.packages if os.path.isdir(f"{f}/{name}")), None)
        if folder:
            _add_package(tree, folder, own, name)
    if f"{own}/pip" in tree:
        script = _PIP.format(python=f"{place.prefix}/bin/python3")
        for name in ("pip", "pip3", f"pip{python.short_version}"):
            tree.text(f"/usr/local/bin/{name}", script, mode=0o755)
    return tree


def _add_names(tree: Tree, python: Interpreter, executable: str) -> None:
    folder, name = os.path.split(executable)
    for link in (f"python{python.short_version}", "python3", "python"):
        tree.link(f"{folder}/{link}", name)


def _is_wanted(path: str, is_folder: bool) -> bool:
    return not _LEFT_OUT.search(path)


def _add_package(tree: Tree, folder: str, own: str, name: str) -> None:
    parts = [name, *_PARTS.get(name, ())]
    parts += [os.path.basename(p) for kind in ("dist-info", "egg-info")
              for p in glob.glob(f"{glob.escape(folder)}/{name}-*.{kind}")]  # fmt: skip
    for part in parts:
        source = f"{folder}/{part}"
        if os.path.isdir(source):
            tree.copy(source, f"{own}/{part}", _is_package_file)
        else:
            tree.host(source, at=f"{own}/{part}")


def _is_package_file(path: str, is_folder: bool) -> bool:
    return not re.search(r"(^|/)tests?$|\.opt-[12]\.pyc$|\.exe$", path)
