"""Times several contenders side by side and says by how much they differ.

A benchmark in one page:

    def measure() -> list[Comparison]:
        with Engine(...) ..., peers.dockerd() as docker:
            return [
                compare(
                    "run --rm --network none busybox true",
                    [
                        Contender("pydock", lambda: engine.containers.run(...)),
                        Contender("docker", lambda: call(*docker.run(...)), skip=docker.skip),
                    ],
                    repeats=20,
                )
            ]

Contenders take turns within each repeat, so that a slow moment of the machine hits them all; the
medians are compared, and each is given as a ratio to the first one. A contender whose `skip` is not
empty is listed with that reason.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """One way to do the job; `prepare` runs before each turn and is not timed."""

    name: str
    once: Callable[[], object]
    prepare: Callable[[], object] | None = None
    skip: str = ""


@dataclass(frozen=True)
class Timing:
    """What one contender took, in seconds; `skip` says why there are no figures."""

    name: str
    seconds: tuple[float, ...] = ()
    skip: str = ""

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Comparison:
    """The timings of one job; the first contender is the one the ratios refer to."""

    title: str
    timings: tuple[Timing, ...]


def compare(
    title: str, contenders: Sequence[Contender], *, repeats: int, warm_up: int = 1
) -> Comparison:
    """Runs the contenders in turns, `repeats` times each after `warm_up` untimed rounds."""
    running = [contender for contender in contenders if not contender.skip]
    seconds: dict[str, list[float]] = {contender.name: [] for contender in running}
    for turn in range(-warm_up, repeats):
        for contender in running:
            if contender.prepare is not None:
                contender.prepare()
            start = time.perf_counter()
            contender.once()
            if turn >= 0:
                seconds[contender.name].append(time.perf_counter() - start)
    timings = [Timing(c.name, tuple(seconds.get(c.name, ())), c.skip) for c in contenders]
    return Comparison(title, tuple(timings))


def markdown(comparisons: Iterable[Comparison]) -> str:
    """One table of all comparisons: median, fastest to slowest, ratio to the first contender."""
    lines = ["| what | who | median | range | ratio |", "| --- | --- | ---: | ---: | ---: |"]
    for comparison in comparisons:
        reference = next((t for t in comparison.timings if t.seconds), None)
        for position, timing in enumerate(comparison.timings):
            title = "" if position else comparison.title
            lines.append(f"| {title} | {timing.name} | {_figures(timing, reference)} |")
    return "\n".join(lines)


def _figures(timing: Timing, reference: Timing | None) -> str:
    if not timing.seconds or reference is None:
        return f"{timing.skip or 'not run'} | | "
    low, high = min(timing.seconds), max(timing.seconds)
    ratio = timing.median_s / reference.median_s
    return f"{duration(timing.median_s)} | {duration(low)} - {duration(high)} | {ratio:.2f}"


def duration(seconds: float) -> str:
    """`seconds` with three digits: `12.3 ms`, `1.85 s`."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def machine_line() -> str:
    """What the figures were measured on: kernel, processor, cores, memory, Python."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    return (
        f"Linux {platform.release()}, {_processor()}, {cores} cores, "
        f"{memory_bytes / 2**30:.0f} GiB, Python {platform.python_version()}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def call(*command: str, env: dict[str, str] | None = None) -> str:
    """The standard output of a program that must succeed; its errors are shown when it does not."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return done.stdout
