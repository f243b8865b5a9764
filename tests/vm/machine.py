"""qemu: boots the disks, shows the console, and is over within a limit of time."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEMORY = "2560M"
PROCESSORS = "2"
POWER_OFF_S = 20.0
"""From the machine's last word to the end of qemu."""
STATUS = re.compile(r"^pydock-vm: status (\d+)\s*$")
KERNEL_LINE = (
    "console=ttyS0 rdinit=/init loglevel=3 panic=-1 oops=panic apparmor=0 audit=0 mitigations=off"
)
"""`panic=-1`: reboot at once, which `-no-reboot` makes the end of qemu. `loglevel=3` keeps what the
kernel says of every OOM kill out of the output of the tests. The last three are for speed."""


@dataclass
class Console:
    """What the machine says on its serial line, as it comes."""

    status: int | None = None
    """What guest/init said in the end; None when it never did."""
    _pending: bytes = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines completed by `data`, without their ends."""
        *complete, self._pending = (self._pending + data).split(b"\n")
        lines = [line.decode(errors="replace").rstrip("\r") for line in complete]
        for line in lines:
            if found := STATUS.match(line):
                self.status = int(found[1])
        return lines


def boot(
    kernel: Path, initramfs: Path, kept: list[Path], made: list[Path], limit_s: float, log: Path
) -> Console:
    """Boots, shows the console as it comes, and returns when the machine is off or `limit_s` over.

    The disks `kept` are seen in their order as /dev/vda, …, and stay as they are; those in `made`
    follow and are written to. `log` gets the whole console.
    """
    console = Console()
    deadline = time.monotonic() + limit_s
    with log.open("w") as output, _running(_command(kernel, initramfs, kept, made)) as serial:
        while (left_s := deadline - time.monotonic()) > 0:
            if not select.select([serial], [], [], left_s)[0]:
                break
            data = os.read(serial, 1 << 16)
            if not data:
                break
            for line in console.feed(data):
                output.write(line + "\n")
                print(line, flush=True)
            if console.status is not None:
                deadline = min(deadline, time.monotonic() + POWER_OFF_S)
    return console


@contextmanager
def _running(command: list[str]) -> Iterator[int]:
    """The descriptor of the serial line; qemu is over when the `with` is."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout.fileno()
    finally:
        if process.poll() not in (None, 0):
            print(f"test-vm: qemu ended with {process.returncode}")
        process.kill()
        process.wait()
        process.stdout.close()


def _command(kernel: Path, initramfs: Path, kept: list[Path], made: list[Path]) -> list[str]:
    command = [
        *("setpriv", "--pdeathsig", "KILL"),  # qemu ends with us, even when we are killed
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"),
        *("-smp", PROCESSORS, "-m", MEMORY, "-serial", "stdio", "-device", "virtio-rng-pci"),
        *("-kernel", str(kernel), "-initrd", str(initramfs), "-append", KERNEL_LINE),
    ]
    for disk in kept:  # writes go to an unnamed temporary file
        command += ["-drive", f"if=virtio,format=raw,cache=unsafe,snapshot=on,file={disk}"]
    for disk in made:
        command += ["-drive", f"if=virtio,format=raw,cache=unsafe,file={disk}"]
    return command
