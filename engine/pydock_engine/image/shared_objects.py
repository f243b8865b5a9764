"""Which shared libraries a program needs, found the way ld.so would find them on this machine.

Source: ld.so(8); ELF gABI, "Dynamic Section".
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

_USUAL: Final = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")
_MAX_INCLUDES: Final = 100


@dataclass(frozen=True)
class ElfFacts:
    """The dynamic linking side of one ELF file."""

    machine: tuple[str, int]
    """Processor and word size: libraries of another one are passed over."""
    interpreter: str
    needed: tuple[str, ...]
    search: tuple[str, ...]
    """RUNPATH or RPATH, `$ORIGIN` filled in."""


def read_elf(path: str) -> ElfFacts | None:
    """None when `path` is no ELF file or cannot be read."""
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"\x7fELF":
                return None
            return _facts(ELFFile(file), os.path.dirname(os.path.realpath(path)))
    except (OSError, ELFError):
        return None


def _facts(elf: ELFFile, origin: str) -> ElfFacts:
    interpreter = ""
    needed: list[str] = []
    search: list[str] = []
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        elif isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(_text(tag))
                elif tag.entry.d_tag in ("DT_RUNPATH", "DT_RPATH"):
                    search += _text(tag).replace("${ORIGIN}", "$ORIGIN").split(":")
    return ElfFacts(
        machine=(elf.header.e_machine, elf.elfclass),
        interpreter=interpreter,
        needed=tuple(needed),
        search=tuple(part.replace("$ORIGIN", origin) for part in search if part),
    )


def _text(tag: DynamicTag) -> str:
    """The string a tag points to, which pyelftools keeps under the tag's own name."""
    return str(getattr(tag, tag.entry.d_tag.removeprefix("DT_").lower()))


class Libraries:
    """Finds libraries; each file is read once however many programs need it."""

    def __init__(self) -> None:
        self._folders = _configured_folders()
        self._facts: dict[str, ElfFacts | None] = {}

    def closure(self, programs: Iterable[str]) -> set[str]:
        """Paths of all libraries and dynamic loaders that `programs` need, directly or not.

        What ld.so would not find is left out: a program may load it under conditions only.
        """
        found: set[str] = set()
        waiting: list[tuple[str, tuple[str, ...]]] = [(program, ()) for program in programs]
        while waiting:
            path, inherited = waiting.pop()
            facts = self._read(path)
            if facts is None:
                continue
            if facts.interpreter:
                found.add(facts.interpreter)
            search = (*facts.search, *inherited)
            for name in facts.needed:
                library = self._find(name, facts, search)
                if library and library not in found:
                    found.add(library)
                    # RPATH (unlike RUNPATH) also counts for the libraries of libraries
                    waiting.append((library, search))
        return found

    def named(self, name: str, like: str) -> str | None:
        """Where library `name` is, of the same machine as the program `like`."""
        facts = self._read(like)
        return self._find(name, facts, ()) if facts else None

    def _read(self, path: str) -> ElfFacts | None:
        if path not in self._facts:
            self._facts[path] = read_elf(path)
        return self._facts[path]

    def _find(self, name: str, facts: ElfFacts, search: tuple[str, ...]) -> str | None:
        if "/" in name:
            return name if os.path.exists(name) else None
        for folder in (*search, *self._folders):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                found = self._read(path)
                if found is not None and found.machine == facts.machine:
                    return path
        return None


def _configured_folders() -> tuple[str, ...]:
    """LD_LIBRARY_PATH, the folders of ld.so.conf and the built-in ones, in ld.so's order."""
    inherited = [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p]
    multiarch = sorted(glob.glob("/lib/*-linux-*") + glob.glob("/usr/lib/*-linux-*"))
    configured = _read_configuration("/etc/ld.so.conf", [0])
    ordered = dict.fromkeys([*inherited, *configured, *multiarch, *_USUAL])
    return tuple(folder for folder in ordered if os.path.isdir(folder))


def _read_configuration(pattern: str, count: list[int]) -> list[str]:
    folders: list[str] = []
    for path in sorted(glob.glob(pattern)):
        count[0] += 1
        if count[0] > _MAX_INCLUDES:
            break
        try:
            lines = Path(path).read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            words = line.partition("#")[0].split()
            if len(words) == 2 and words[0] == "include":
                folders += _read_configuration(os.path.join("/etc", words[1]), count)
            else:
                folders += words
    return folders
