"""`python -m tests.vm [USER [pytest arguments]]`: tests in a machine with cgroup v2 only.

Without arguments the lines of selection.txt, with them one pass of USER (root, pydocktest,
pydocksingle). Ends with the status of the first pass that failed, 0 when all passed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

from tests.vm import kept, machine, recipe, travel
from tests.vm.selection import FILE, Pass, parse_selection

OUTPUT = recipe.SOURCE / "build" / "vm"
BOOT_S = 90.0
ALONE_LIMIT_S = 600.0


def main(arguments: list[str]) -> int:
    if os.geteuid() != 0:
        sys.exit("test-vm: needs root, for the machine's files to have their owners (debootstrap)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # clean up, too
    passes = parse_selection(FILE.read_text())
    if arguments:
        passes = [Pass(arguments[0], ALONE_LIMIT_S, tuple(arguments[1:]))]
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    began = time.monotonic()
    debian, packages = kept.debian(), kept.python_packages()
    print(f"test-vm: disks after {time.monotonic() - began:.0f} s", flush=True)
    checkout, results = OUTPUT / "checkout.tar", OUTPUT / "results.tar"
    try:
        travel.write_checkout(checkout, passes)
        travel.make_results(results)
        console = machine.boot(
            debian.kernel,
            debian.initramfs,
            kept=[debian.disk, packages],
            made=[checkout, results],
            limit_s=BOOT_S + sum(one.limit_s for one in passes),
            log=OUTPUT / "console.txt",
        )
        travel.read_results(results, OUTPUT)
    finally:
        checkout.unlink(missing_ok=True)
        results.unlink(missing_ok=True)
    print(f"test-vm: {time.monotonic() - began:.0f} s in all, results in {OUTPUT}", flush=True)
    return verdict(console)


def verdict(console: machine.Console) -> int:
    """The exit status; a machine that never said how it went has failed."""
    if console.status is not None:
        return console.status
    print("test-vm: the machine ended without a status; its last words are above")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
