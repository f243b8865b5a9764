"""The harness measures in turns and tells the figures as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.__main__ import benchmark_names, main
from benchmarks.harness import (
    Comparison,
    Contender,
    Timing,
    call,
    compare,
    duration,
    machine_line,
    markdown,
)


def test_contenders_take_turns_and_are_prepared_before_each() -> None:
    order: list[str] = []
    contenders = [
        Contender("a", lambda: order.append("a"), prepare=lambda: order.append("(")),
        Contender("b", lambda: order.append("b")),
    ]
    comparison = compare("turns", contenders, repeats=2, warm_up=1)
    assert "".join(order) == "(ab(ab(ab"
    assert [len(timing.seconds) for timing in comparison.timings] == [2, 2]


def test_a_contender_that_is_not_installed_is_listed_with_the_reason() -> None:
    contenders = [Contender("a", lambda: None), Contender("b", pytest.fail, skip="not installed")]
    table = markdown([compare("skips", contenders, repeats=1)])
    assert "|  | b | not installed | |  |" in table


def test_ratios_refer_to_the_first_contender() -> None:
    timings = (Timing("a", (0.010, 0.020, 0.030)), Timing("b", (0.080, 0.120, 0.100)))
    rows = markdown([Comparison("job", timings)]).splitlines()[2:]
    assert rows == [
        "| job | a | 20 ms | 10 ms - 30 ms | 1.00 |",
        "|  | b | 100 ms | 80 ms - 120 ms | 5.00 |",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123456, "12.3 ms"), (0.28, "280 ms"), (1.8549, "1.85 s"), (12.34, "12.3 s")],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_machine_line_names_kernel_and_cores() -> None:
    line = machine_line()
    assert line.startswith("Linux ")
    assert " cores, " in line


def test_a_command_that_fails_shows_its_errors() -> None:
    with pytest.raises(RuntimeError, match="status 3\nwrong"):
        call("sh", "-c", "echo wrong >&2; exit 3")


def test_every_listed_benchmark_can_be_named() -> None:
    assert "harness" not in benchmark_names()
    with pytest.raises(SystemExit, match="no such benchmark: nonsense"):
        main(["nonsense"])


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.needs("docker", "dockerd", "containerd")
def test_docker_is_started_by_hand_and_leaves_nothing() -> None:
    with peers.dockerd() as docker:
        assert "Server Version" in call(*docker.command("info"))
        folder = Path(docker.prefix[2].removeprefix("unix://")).parent
        assert folder.is_dir()
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.needs("podman", "runc")
def test_podman_has_storage_of_its_own_and_leaves_nothing() -> None:
    with peers.podman() as podman:
        storage = Path(podman.prefix[2])
        assert call(*podman.command("images", "--quiet")) == ""
        assert storage.is_dir()
    assert not storage.exists()
