"""Tiny programs that make one system call and exit with the errno it failed with (0: it worked)."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from pydock_engine.runtime.seccomp.numbers import abis_of, tables

MACHINE = os.uname().machine
_BASE = 0x400000


def add_call(folder: Path, program: str, call: str, *arguments: int) -> None:
    """Makes `program` in `folder`."""
    code = _code(tables()[abis_of(MACHINE)[0].column][call], arguments)
    size = 120 + len(code)
    # elf(5): an executable of one segment, code from byte 120 on.
    machine = 62 if MACHINE == "x86_64" else 183
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, _BASE + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    (folder / program).write_bytes(header + segment + code)
    (folder / program).chmod(0o755)


def _code(number: int, arguments: tuple[int, ...]) -> bytes:
    if MACHINE == "aarch64":
        return _code_aarch64(number, arguments)
    if MACHINE != "x86_64":
        pytest.skip(f"no little programs for {MACHINE}")
    moves = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba", b"\x49\xb8")  # rdi rsi rdx r10 r8
    values = (*arguments, 0, 0, 0, 0, 0)
    code = b"".join(
        move + struct.pack("<Q", value & (2**64 - 1))
        for move, value in zip(moves, values, strict=False)
    )
    code += b"\xb8" + struct.pack("<I", number) + b"\x0f\x05"  # mov eax; syscall
    return code + b"\xf7\xd8\x89\xc7\xb8\x3c\0\0\0\x0f\x05"  # edi = -eax; exit(edi)


def _code_aarch64(number: int, arguments: tuple[int, ...]) -> bytes:
    words = []
    for register, value in enumerate((*arguments, 0, 0, 0, 0, 0)[:5]):
        for half in range(4):  # movz, then movk of each 16 bits
            kind = 0xF2800000 if half else 0xD2800000
            bits = (value >> (16 * half)) & 0xFFFF
            words.append(kind | half << 21 | bits << 5 | register)
    words += [0xD2800000 | number << 5 | 8, 0xD4000001]  # x8 = number; svc 0
    words += [0x4B0003E0, 0xD2800BA8, 0xD4000001]  # w0 = -w0; x8 = 93 (exit); svc 0
    return struct.pack(f"<{len(words)}I", *words)
