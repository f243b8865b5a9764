"""Image names by docker's grammar, and what is said about names that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydock_engine import errors
from pydock_engine.image.reference import familiar_repository, id_prefix, parse

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/library/a", "docker.io/library/a:latest", "a:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("[fe80::1]/x:1", "[fe80::1]/x:1", "[fe80::1]/x:1"),
        ("HOST/x", "HOST/x:latest", "HOST/x:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"a.b/c:t@{DIGEST}", f"a.b/c:t@{DIGEST}", f"a.b/c:t@{DIGEST}"),
        ("a__b/c--d.e", "docker.io/a__b/c--d.e:latest", "a__b/c--d.e:latest"),
    ],
)
def test_names_are_completed_and_shown_as_docker_does(text: str, full: str, familiar: str) -> None:
    parsed = parse(text)
    assert parsed.full == full
    assert str(parsed) == familiar
    assert parse(parsed.full) == parsed == parse(str(parsed))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        ":tag",
        "a:",
        "a:-x",
        "a:" + "t" * 129,
        "a//b",
        "/a",
        "a/",
        "-a",
        "a..b",
        "a___b",
        "a@sha256:12",
        f"a@md5:{'0' * 32}",
        "a@",
        "x" * 256,
        "ab" * 32,
        "[::1/x",
        "host:port/x",
        "a\0b",
        "a\n",
        "ä",
        "$(id)",
        "../x",
        "a/../b",
    ],
)
def test_what_is_no_name_is_refused_in_one_line_with_a_way_out(text: str) -> None:
    with pytest.raises(errors.InvalidReference) as caught:
        parse(text)
    assert "\n" not in caught.value.message
    assert caught.value.way_out


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Busybox", "`busybox`"),
        ("user/App:1", "`user/app`"),
        ("https://ghcr.io/a/b", "`ghcr.io/a/b`"),
        ("a:b c", "a tag is"),
        ("a@sha256:zz", "64 hex digits"),
    ],
)
def test_the_way_out_says_what_would_be_right(text: str, hint: str) -> None:
    with pytest.raises(errors.InvalidReference) as caught:
        parse(text)
    assert hint in caught.value.way_out


def test_a_folder_is_called_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    for text in ("./data", str(tmp_path), ".", "/tmp"):
        with pytest.raises(errors.InvalidReference) as caught:
            parse(text)
        assert "is a folder" in caught.value.message
        assert "images are named like" in caught.value.way_out


def test_ids_are_told_from_names() -> None:
    assert id_prefix("0123abc") == "0123abc"
    assert id_prefix("sha256:0123abc") == "0123abc"
    assert id_prefix("busybox") is None
    assert id_prefix("abc") is None


def test_the_familiar_repository_drops_docker_hubs_names() -> None:
    assert familiar_repository("docker.io/library/a") == "a"
    assert familiar_repository("docker.io/u/a") == "u/a"
    assert familiar_repository("h:1/a/b") == "h:1/a/b"


@given(st.text(max_size=80))
def test_any_text_parses_to_something_stable_or_is_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except errors.InvalidReference:
        return
    assert parse(parsed.full) == parsed
    assert parse(str(parsed)) == parsed
