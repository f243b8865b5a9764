"""`python -m benchmarks [NAME…]`: runs all benchmarks, or those named, and prints one table."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Comparison, machine_line, markdown

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    available = list(benchmark_names())
    if unknown := set(names) - set(available):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))} (there are {available})")
    comparisons: list[Comparison] = []
    for name in names or available:
        print(f"measuring {name} …", file=sys.stderr)
        comparisons.extend(importlib.import_module(f"benchmarks.{name}").measure())
    print(f"Measured on {machine_line()}.\n\n{markdown(comparisons)}")
    return 0


def benchmark_names() -> Iterator[str]:
    """Modules beside this one that define `measure`."""
    for path in sorted(HERE.glob("*.py")):
        if "\ndef measure(" in path.read_text():
            yield path.stem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
