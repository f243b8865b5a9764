"""Environment variables, env files and labels as docker reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydock_engine.cli.environment import (
    MAX_ENV_FILE_BYTES,
    merge_environment,
    parse_label,
    read_env_file,
)
from pydock_engine.errors import UsageError


def test_env_file_lines_comments_and_callers_values(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text(
        "\ufeff# comment\n\nA=1\n  B=two words \nC='quoted'\r\nFROM_CALLER\nABSENT\nD=a=b#c\nE=\n"
    )
    assert read_env_file(str(file), {"FROM_CALLER": "x"}) == {
        "A": "1",
        "B": "two words ",
        "C": "'quoted'",
        "FROM_CALLER": "x",
        "D": "a=b#c",
        "E": "",
    }


def test_env_flags_win_over_files(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=file\nB=file\n")
    merged = merge_environment([str(file)], ["A=flag", "HERE", "ABSENT"], {"HERE": "h"})
    assert merged == ("A=flag", "B=file", "HERE=h")


@pytest.mark.parametrize("line", ["=x", "A B=x", "A =x", "\t=x"])
def test_a_line_without_a_name_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "env"
    file.write_text(f"OK=1\n{line}\n")
    with pytest.raises(UsageError, match="line 2"):
        read_env_file(str(file), {})


@pytest.mark.parametrize("content", [b"A=\xff\n", b"A" * (MAX_ENV_FILE_BYTES + 1)])
def test_files_that_are_no_text_or_too_large_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "env"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="env"):
        read_env_file(str(file), {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nosuch: no such file or directory"):
        read_env_file(str(tmp_path / "nosuch"))


@pytest.mark.parametrize("text", ["=x", "", "A=\0"])
def test_a_variable_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        merge_environment([], [text], {})


def test_labels() -> None:
    assert parse_label("a=b=c") == ("a", "b=c")
    assert parse_label("a") == ("a", "")
    with pytest.raises(UsageError):
        parse_label("=b")
