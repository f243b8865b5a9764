#!/usr/bin/env python3
"""Writes engine/pydock_engine/runtime/seccomp/numbers.txt from the kernel's uapi headers.

    scripts/syscall_numbers.py X86 AARCH64 ARM VERSION_H

X86, AARCH64 and ARM are folders that hold the headers of one kernel's `asm/` for that
architecture, Linux 6.11 or newer (before, aarch64 had no table of its own); VERSION_H is the
same kernel's `linux/version.h`. Debian's linux-libc-dev packages have them as
/usr/include/x86_64-linux-gnu/asm, /usr/aarch64-linux-gnu/include/asm and
/usr/arm-linux-gnueabihf/include/asm.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TABLE = Path(__file__).parents[1] / "engine/pydock_engine/runtime/seccomp/numbers.txt"

# `#define __NR_read 0`, `(__X32_SYSCALL_BIT + 0)`, `(__NR_SYSCALL_BASE + 3)`, `(__ARM_NR_BASE+5)`
DEFINITION = re.compile(
    r"^#define\s+__(?P<private>ARM_)?NR_(?P<name>[a-z_][a-z0-9_]*)\s+"
    r"\(?(?:(?:__X32_SYSCALL_BIT|__NR_SYSCALL_BASE|__ARM_NR_BASE)\s*\+\s*)?(?P<number>\d+)\)?\s*$",
    re.MULTILINE,
)
ALIAS = re.compile(r"^#define\s+__NR_([a-z0-9_]+)\s+__NR_([a-z0-9_]+)\s*$", re.MULTILINE)
ARM_PRIVATE_BASE = 0x0F0000  # asm/unistd.h of arm, __ARM_NR_BASE


def numbers_in(*headers: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in (header.read_text() for header in headers):
        for match in DEFINITION.finditer(text):
            base = ARM_PRIVATE_BASE if match["private"] else 0
            found[match["name"]] = base + int(match["number"])
        found |= {name: found[other] for name, other in ALIAS.findall(text)}
    return found


def kernel_version(header: Path) -> str:
    match = re.search(r"LINUX_VERSION_CODE (\d+)", header.read_text())
    if match is None:
        raise SystemExit(f"{header}: no LINUX_VERSION_CODE")
    return f"{int(match[1]) >> 16}.{int(match[1]) >> 8 & 0xFF}"


def main(x86: Path, aarch64: Path, arm: Path, version: Path) -> None:
    columns = {
        "x86_64": numbers_in(x86 / "unistd_64.h"),
        "x86": numbers_in(x86 / "unistd_32.h"),
        "x32": numbers_in(x86 / "unistd_x32.h"),
        "aarch64": numbers_in(aarch64 / "unistd_64.h"),
        "arm": numbers_in(arm / "unistd-eabi.h", arm / "unistd.h"),
    }
    for column, numbers in columns.items():
        if len(numbers) < 300:
            raise SystemExit(f"{column}: only {len(numbers)} system calls found")
    kernel = kernel_version(version)
    lines = [
        f"# System calls by architecture, from the uapi headers of Linux {kernel};",
        "# made by scripts/syscall_numbers.py. x32 is written without its bit 30.",
        " ".join(["name", *columns]),
    ]
    for name in sorted(set().union(*columns.values())):
        lines.append(" ".join([name, *(str(c.get(name, "-")) for c in columns.values())]))
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
