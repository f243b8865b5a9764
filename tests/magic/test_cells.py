"""What cells answer, on the stand-in engine."""

from __future__ import annotations

import pandas as pd
import pytest
from pydock_engine.errors import (
    ContainerError,
    ContainerNotFound,
    ContainerTimeout,
    ImageNotFound,
    UsageError,
)

from tests.cli.standin import DEFAULT

from .conftest import Cells


def test_cell_without_image_runs_python_in_the_default_image(
    cells: Cells, capsys: pytest.CaptureFixture[str]
) -> None:
    result = cells.value("%%container\nprint(6 * 7)")
    assert capsys.readouterr().out.startswith("42\n")
    assert (result.exit_code, result.stdout, result.image) == (0, "42\n", DEFAULT)


def test_body_is_never_expanded(cells: Cells) -> None:
    cells.shell.user_ns["x"] = "WRONG"
    result = cells.value("%%container busybox\necho '$x {x} %s' \"${x:-unset}\"")
    assert result.stdout == "$x {x} %s unset\n"


def test_option_line_is_never_expanded(cells: Cells) -> None:
    cells.shell.user_ns["x"] = "WRONG"
    cells.value("%%container --rm -e A=$x -e B={x} busybox\ntrue")
    assert cells.magics.engine.containers.seen[-1].env == ("A=$x", "B={x}")
    assert isinstance(cells.error("%image history {x}"), ImageNotFound | UsageError)


def test_body_is_standard_input_of_a_command(cells: Cells) -> None:
    assert (
        cells.value("%%container busybox cat -n\none\ntwo\n").stdout == "     1\tone\n     2\ttwo\n"
    )


def test_first_line_names_the_interpreter(cells: Cells) -> None:
    assert cells.value("%%container busybox\n#!/usr/bin/env cat\nhi\n").stdout.endswith("hi\n")


def test_interpreter_flag_wins(cells: Cells) -> None:
    assert cells.value("%%container --interpreter 'cat -n' busybox\nhi\n").stdout == "     1\thi\n"


def test_failing_program_raises_with_its_result(cells: Cells) -> None:
    error = cells.error("%%container --name f busybox\necho oops >&2; exit 3")
    assert type(error) is ContainerError
    assert error.message == "the program ended with exit code 3: oops"
    assert (error.result.exit_code, error.result.stderr) == (3, "oops\n")
    assert "%container logs f" in error.way_out


def test_no_raise_error_returns_the_result(cells: Cells) -> None:
    assert cells.value("%%container --no-raise-error busybox\nexit 3").exit_code == 3


def test_raise_error_trait_is_the_default(cells: Cells) -> None:
    cells.run("%config Pydock.raise_error = False")
    assert cells.value("%%container busybox\nexit 3").exit_code == 3
    assert isinstance(cells.error("%%container --raise-error busybox\nexit 3"), ContainerError)


def test_timeout_is_an_error_of_its_own(cells: Cells) -> None:
    error = cells.error("%%container --timeout 50ms busybox\nexec sleep 10")
    assert type(error) is ContainerTimeout
    assert error.result.timed_out


def test_error_in_a_cell_is_two_lines(cells: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run("%image history nosuch")
    shown = capsys.readouterr()
    assert (shown.out + shown.err).replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines() == [
        "ImageNotFound: no such image: nosuch:latest",
        "%image pull nosuch:latest",
    ]


def test_full_traceback_on_request(cells: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run("%config Pydock.short_errors = False")
    cells.run("%image history nosuch")
    shown = capsys.readouterr()
    assert "Traceback" in shown.out + shown.err


@pytest.mark.parametrize(
    ("line", "message", "way_out"),
    [
        ("%image histroy b", "%image: unknown command histroy", "did you mean %image history?"),
        ("%container images", "%container: unknown command images", "did you mean %image ls?"),
        ("%container ls --al", "%container ls: unknown flag --al", "did you mean --all?"),
        ("%container run -name x b", "%container run: unknown flag -name", "did you mean --name?"),
        ("%image pull 'x", "the line cannot be read: no closing quotation", "close the quote"),
        ("%image pull", "%image pull needs IMAGE", "%image pull --help lists what it takes"),
    ],
)
def test_mistakes_are_corrected_kindly(cells: Cells, line: str, message: str, way_out: str) -> None:
    error = cells.error(line)
    assert isinstance(error, UsageError)
    assert error.lines() == [message, way_out]


def test_unknown_flag_of_a_cell_names_the_cell_magic(cells: Cells) -> None:
    error = cells.error("%%container --nam x busybox\ntrue")
    assert str(error) == "%%container: unknown flag --nam"


def test_flags_after_the_image_belong_to_the_program(cells: Cells) -> None:
    cells.value("%%container busybox echo -name --rm\nbody\n")
    assert cells.magics.engine.containers.seen[-1].command == ("echo", "-name", "--rm")


def test_image_ls_is_a_frame_one_can_assign(cells: Cells) -> None:
    cells.value("x = %image ls")
    frame = cells.shell.user_ns["x"]
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["reference"]) == ["busybox:latest"]
    assert str(frame["created"].dtype) == "datetime64[ns, UTC]"
    assert frame["size_bytes"].sum() == 4_261_502


def test_history_has_the_promised_columns(cells: Cells) -> None:
    frame = cells.value("%image history busybox")
    assert list(frame.columns) == [
        "created", "created_by", "size_bytes", "diff_id", "digest", "empty_layer", "comment",
    ]  # fmt: skip
    assert frame["size_bytes"].isna().tolist() == [False, True]
    assert str(frame["size_bytes"].dtype) == "Int64"


def test_layers_has_the_promised_columns(cells: Cells) -> None:
    frame = cells.value("%image layers busybox")
    assert list(frame.columns) == [
        "index", "digest", "diff_id", "chain_id", "size_bytes", "compressed_bytes", "files",
        "created_by", "shared_with",
    ]  # fmt: skip
    assert frame.loc[0, "shared_with"] == ("team/tools:1",)


def test_inspect_has_dockers_json_as_raw(cells: Cells) -> None:
    frame = cells.value("%image inspect busybox")
    assert frame.raw[0]["Config"]["Cmd"] == ["sh"]
    assert frame.loc["Config.Cmd", "busybox:latest"] == ["sh"]


def test_container_commands_end_to_end(cells: Cells) -> None:
    made = cells.value("%container run -d --name web busybox sleep 60")
    assert (made.name, made.status) == ("web", "running")
    assert list(cells.value("%container ls")["name"]) == ["web"]
    assert cells.value("%container stop web") == ["web"]
    assert cells.value("%container ls").empty
    assert list(cells.value("%container ls -a")["exit_code"]) == [143]
    assert cells.value("%container wait web") == [143]
    assert cells.value("%container rm web") == ["web"]
    assert isinstance(cells.error("%container rm web"), ContainerNotFound)


def test_logs_are_a_value_with_both_streams(cells: Cells) -> None:
    cells.value("%%container --name w busybox\necho out; echo err >&2")
    logs = cells.value("%container logs w")
    assert (logs.stdout, logs.stderr, str(logs)) == ("out\n", "err\n", "out\nerr\n")


def test_help_is_shown(cells: Cells) -> None:
    text = cells.value("%image pull --help")
    assert text.startswith("Usage: %image pull")
    assert "%image pull debian:12" in text
    assert "Usage: %container" in cells.value("%container --help")
    assert "docker run's" in cells.shell.object_inspect_text("%%container")


def test_missing_image_is_pulled_with_progress(
    cells: Cells, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cells.value("%%container debian:12\necho hi").stdout == "hi\n"
    assert "pulling debian:12" in capsys.readouterr().err


def test_pull_never_refuses_to_fetch(cells: Cells) -> None:
    assert isinstance(cells.error("%%container --pull never debian:12\ntrue"), ImageNotFound)


def test_a_cell_has_no_standard_input_to_hand_over(cells: Cells) -> None:
    assert isinstance(cells.error("%%container -i busybox\ntrue"), UsageError)


def test_not_applied_limits_are_on_the_face(cells: Cells) -> None:
    result = cells.value("%%container --rm -m 64m --best-effort busybox\ntrue")
    assert "not applied: --memory" in repr(result)
    assert "not applied: --memory" in result._repr_html_()
