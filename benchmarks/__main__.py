"""`python -m benchmarks [NAME…]`: runs all benchmarks, or those named, and prints one table."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.harness import Comparison, machine_line, markdown

HERE = Path(__file__).parent
ONE = "--one"
"""What main says to the process of one benchmark, which answers in JSON."""


def main(names: list[str]) -> int:
    if names[:1] == [ONE]:
        print_one(names[1])
        return 0
    available = list(benchmark_names())
    if unknown := set(names) - set(available):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))} (there are {available})")
    comparisons: list[Comparison] = []
    for name in names or available:
        print(f"measuring {name} …", file=sys.stderr)
        comparisons.extend(measured_alone(name))
    print(f"Measured on {machine_line()}.\n\n{markdown(comparisons)}")
    return 0


def measured_alone(name: str) -> list[Comparison]:
    """`measure()` of one benchmark in a process of its own.

    What one leaves in memory (an image of 400 MB) would be in every fork the next one times.
    """
    command = [sys.executable, "-m", "benchmarks", ONE, name]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Comparison])


def print_one(name: str) -> None:
    measured = importlib.import_module(f"benchmarks.{name}").measure()
    print(msgspec.json.encode(measured).decode())


def benchmark_names() -> Iterator[str]:
    """Modules beside this one that define `measure`."""
    for path in sorted(HERE.glob("*.py")):
        if "\ndef measure(" in path.read_text():
            yield path.stem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
