"""Which variant of an image is chosen, and what is said when there is none."""

from __future__ import annotations

import pytest
from pydock_engine import errors
from pydock_engine.image import platform
from pydock_engine.image.platform import choose, parse_platform, rank
from pydock_engine.oci.image import Descriptor


def entry(text: str | None) -> Descriptor:
    wanted = parse_platform(text) if text else None
    return Descriptor(media_type="m", digest=f"d:{text}", size=1, platform=wanted)


def chosen(wanted: str, *offered: str | None) -> str:
    return choose([entry(text) for text in offered], parse_platform(wanted), "x").digest


def test_this_machine_is_a_linux_one() -> None:
    assert platform.host_platform().os == "linux"


@pytest.mark.parametrize(
    ("wanted", "offered", "right"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], "linux/arm/v6"),
        ("linux/arm/v7", ["linux/arm/v6", "linux/arm/v7", "linux/arm/v8"], "linux/arm/v7"),
        ("linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64/v8", ["linux/arm64"], "linux/arm64"),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], "linux/amd64"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/amd64", ["windows/amd64", "linux/x86_64"], "linux/x86_64"),
        ("linux/amd64", [None, "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/arm64", None], None),
        ("linux/amd64", ["unknown/unknown", "linux/amd64"], "linux/amd64"),
    ],
)
def test_the_best_variant_is_chosen(wanted: str, offered: list[str | None], right: str) -> None:
    descriptor = choose([entry(text) for text in offered], parse_platform(wanted), "x")
    assert descriptor.platform == (parse_platform(right) if right else None)


def test_a_newer_variant_never_runs_on_an_older_machine() -> None:
    assert rank(parse_platform("linux/arm/v8"), parse_platform("linux/arm/v7")) is None
    assert rank(parse_platform("linux/amd64/v2"), parse_platform("linux/amd64")) is None


def test_a_mismatch_lists_what_there_is_without_attestations() -> None:
    with pytest.raises(errors.PlatformMismatch) as caught:
        chosen("linux/amd64", "linux/arm64", "linux/s390x", "unknown/unknown")
    assert "linux/arm64, linux/s390x" in caught.value.message
    assert "unknown" not in caught.value.message
    assert "--platform" in caught.value.way_out


@pytest.mark.parametrize("text", ["", "a/b/c/d", "linux/", "linux/a b", "//"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageError):
        parse_platform(text)


def test_common_names_of_architectures_are_understood() -> None:
    assert str(parse_platform("aarch64")) == "linux/arm64"
    assert str(parse_platform("Linux/x86_64")) == "linux/amd64"
