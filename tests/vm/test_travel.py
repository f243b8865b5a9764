"""What travels to and from the machine."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from tests.vm.recipe import NOTEBOOK_REQUIREMENTS, requirements
from tests.vm.selection import WANTED, Pass
from tests.vm.travel import RESULTS_BYTES, make_results, read_results, write_checkout


def test_the_checkout_travels_with_what_is_wanted(tmp_path: Path) -> None:
    disk = tmp_path / "checkout.tar"
    write_checkout(disk, [Pass("root", 60.0, ("tests/vm",))])
    with tarfile.open(disk) as archive:
        init = archive.getmember("source/tests/vm/guest/init")
        wanted = archive.extractfile(f"source/{WANTED}")
        assert wanted is not None
        assert json.load(wanted) == [["root", 60.0, ["tests/vm"]]]
    assert init.mode & 0o111


def test_results_end_where_the_disk_does_not(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text("<testsuites/>")
    disk, target = tmp_path / "results", tmp_path / "target"
    with tarfile.open(disk, "w") as archive:
        archive.add(tmp_path / "junit.xml", "0-root/junit.xml")
    with disk.open("ab") as output:
        output.truncate(RESULTS_BYTES)
    read_results(disk, target)
    assert (target / "0-root" / "junit.xml").read_text() == "<testsuites/>"


def test_a_machine_that_wrote_nothing_has_no_results(tmp_path: Path) -> None:
    disk, target = tmp_path / "results", tmp_path / "target"
    make_results(disk)
    target.mkdir()
    read_results(disk, target)
    assert list(target.iterdir()) == []


def test_the_engines_requirements_travel_and_the_notebooks_do_not() -> None:
    names = " ".join(requirements())
    assert "msgspec" in names
    assert "pytest" in names
    assert not NOTEBOOK_REQUIREMENTS & set(names.split())
