"""The same cells on the stand-in and on the real engine: what the stand-in says is true."""

from __future__ import annotations

import pandas as pd
import pytest
from pydock_engine.engine import Engine
from pydock_engine.errors import (
    Conflict,
    ContainerError,
    ContainerNotFound,
    ContainerTimeout,
    ImageNotFound,
)

from .conftest import Cells

pytestmark = [pytest.mark.root, pytest.mark.userns]


@pytest.fixture(scope="module", autouse=True)
def pulled(real_engine: Engine, busybox_reference: str) -> str:
    return real_engine.images.pull(busybox_reference).reference


@pytest.fixture(params=["stand-in", "real"])
def both(request: pytest.FixtureRequest, pulled: str) -> Cells:
    """Cells, with the name of a busybox image in `image`."""
    real = request.param == "real"
    cells: Cells = request.getfixturevalue("real_cells" if real else "cells")
    cells.image = pulled if real else "busybox"
    return cells


def test_python_body_in_the_default_image(both: Cells) -> None:
    result = both.value("%%container --rm\nprint(6 * 7)\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "42\n", "")
    assert result.image.startswith("local/python:3.")


def test_shell_body_with_variables_of_its_own(both: Cells) -> None:
    both.shell.user_ns["x"] = "WRONG"
    result = both.value(f"%%container --rm {both.image}\nx=1; echo $x {{x}} '%s'\n")
    assert result.stdout == "1 {x} %s\n"


def test_body_as_standard_input(both: Cells) -> None:
    assert both.value(f"%%container --rm {both.image} cat -n\na\nb\n").stdout == (
        "     1\ta\n     2\tb\n"
    )


def test_streams_are_kept_apart(both: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    result = both.value(f"%%container --rm {both.image}\necho out; echo err >&2\n")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    shown = capsys.readouterr()
    assert (shown.out.partition("\n")[0], shown.err) == ("out", "err\n")


def test_failure_raises_with_the_result(both: Cells) -> None:
    error = both.error(f"%%container --rm {both.image}\necho oops >&2; exit 3\n")
    assert type(error) is ContainerError
    assert error.message == "the program ended with exit code 3: oops"
    assert error.result.exit_code == 3


def test_timeout(both: Cells) -> None:
    error = both.error(f"%%container --rm --timeout 300ms {both.image}\nexec sleep 60\n")
    assert type(error) is ContainerTimeout
    assert error.result.timed_out
    assert error.result.duration_s < 5


def test_a_kept_container_is_listed_logged_inspected_and_removed(both: Cells) -> None:
    both.value(f"%%container --name kept {both.image}\necho hello\n")
    frame = both.value("%container ls -a")
    assert isinstance(frame, pd.DataFrame)
    row = frame.set_index("name").loc["kept"]
    assert (row["status"], row["exit_code"]) == ("exited", 0)
    assert str(both.value("%container logs kept")) == "hello\n"
    assert both.value("%container inspect kept").raw[0]["Name"] == "/kept"
    assert both.value("%container rm kept") == ["kept"]
    assert isinstance(both.error("%container logs kept"), ContainerNotFound)


def test_a_detached_container_is_handled_by_name(both: Cells) -> None:
    made = both.value(f"%container run -d --name bg {both.image} sleep 60")
    assert (made.name, made.status) == ("bg", "running")
    assert isinstance(both.error("%container rm bg"), Conflict)
    assert both.value("%container kill bg") == ["bg"]
    assert both.value("%container wait bg") == [137]
    assert both.value("%container rm bg") == ["bg"]


def test_a_taken_name_is_a_conflict(both: Cells) -> None:
    both.value(f"%%container --name twice {both.image}\ntrue\n")
    error = both.error(f"%%container --name twice {both.image}\ntrue\n")
    assert isinstance(error, Conflict)
    assert "twice is already in use" in error.message


def test_image_frames(both: Cells) -> None:
    listed = both.value("%image ls")
    assert listed["size_bytes"].min() > 0
    history = both.value(f"%image history {both.image}")
    assert history["empty_layer"].tolist().count(False) == history["digest"].notna().sum()
    layers = both.value(f"%image layers {both.image}")
    assert layers["index"].tolist() == list(range(len(layers)))
    assert both.value(f"%image inspect {both.image}").raw[0]["Config"]["Cmd"]


def test_with_env_shows_the_notebooks_own_packages(real_cells: Cells) -> None:
    result = real_cells.value(
        "%%container --rm --with-env\n"
        "import numpy, pandas\n"
        "print(pandas.Series(numpy.arange(4)).sum())\n"
    )
    assert result.stdout == "6\n"


def test_an_image_that_is_not_here(both: Cells) -> None:
    assert isinstance(both.error("%image history nosuch"), ImageNotFound)
    assert isinstance(both.error("%%container --pull never nosuch\ntrue\n"), ImageNotFound)
