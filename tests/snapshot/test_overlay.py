"""Layers merged into one root: order, depth, owners, and clear words where it cannot be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pydock_engine.paths import Paths

from tests.runtime.conftest import make_box
from tests.runtime.lab import CHAIN, Box, Driver

pytestmark = [pytest.mark.root, pytest.mark.userns]


def chain(number: int) -> str:
    return f"sha256:{number:064x}"


def add_layer(box: Box, number: int, files: dict[str, str]) -> str:
    """A layer of `files`, as an unpack leaves it."""
    diff = box.paths.layer(chain(number)) / "diff"
    diff.mkdir(parents=True)
    for name, content in files.items():
        (diff / name).parent.mkdir(parents=True, exist_ok=True)
        (diff / name).write_text(content)
    return chain(number)


def test_upper_layers_win(box: Box) -> None:
    low = add_layer(box, 1, {"x/who": "low", "x/low": ""})
    high = add_layer(box, 2, {"x/who": "high", "x/high": ""})
    box.layers = (high, low, CHAIN)
    assert box.sh("cat /x/who; echo; ls /x").split() == ["high", "high", "low", "who"]


def test_hundreds_of_layers_can_be_mounted(box: Box) -> None:
    layers = [add_layer(box, number, {f"deep/{number}": ""}) for number in range(1, 200)]
    box.layers = (*layers, CHAIN)
    assert box.sh("ls /deep | wc -l").split() == ["199"]


def test_whiteouts_and_opaque_folders_hide_what_is_below(box: Box) -> None:
    prefix = "trusted" if os.geteuid() == 0 else "user"
    low = add_layer(box, 1, {"gone": "", "folder/below": ""})
    high = add_layer(box, 2, {"folder/above": ""})
    diff = box.paths.layer(high) / "diff"
    if os.geteuid() == 0:
        os.mknod(diff / "gone", 0o020000, os.makedev(0, 0))
    os.setxattr(diff / "folder", f"{prefix}.overlay.opaque", b"y")
    box.layers = (high, low, CHAIN)
    shown = box.sh("ls /folder; ls /gone 2>/dev/null || true").split()
    assert shown == (["above"] if os.geteuid() == 0 else ["above", "/gone"])


def test_root_owns_the_images_files_inside_and_out(box: Box) -> None:
    identity = "ef" * 32
    script = "stat -c %u:%g / /bin/busybox; echo x >> /etc/passwd; echo y > /fresh"
    assert box.sh(script, container_id=identity).split() == ["0:0", "0:0"]
    upper = box.paths.container(identity).snapshot / "upper"
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in upper.rglob("*")}
    assert owners == {(os.geteuid(), os.getegid())}


def test_deleting_and_renaming_what_an_image_has_works(box: Box) -> None:
    add_layer(box, 1, {"d/one": "1", "d/two": "2"})
    box.layers = (chain(1), CHAIN)
    script = "mv /d /e && rm /e/one && mkdir /d && ls /d /e && rm -r /e /d && ls -d /e || true"
    assert box.sh(script).split() == ["/d:", "/e:", "two"]


def test_missing_layer_is_named(box: Box) -> None:
    box.layers = (chain(9), CHAIN)
    report = box.run("true")
    assert report.error == "StoreError"
    assert f"{9:064x}" in report.message
    assert "pull it again" in report.way_out


def test_no_or_too_many_layers_are_refused(box: Box) -> None:
    box.layers = (CHAIN,) * 501
    report = box.run("true")
    assert (report.error, "501 layers" in report.message) == ("UsageError", True)


def test_strange_names_of_the_store_are_no_mount_options(
    driver: Driver,
    paths: Paths,
) -> None:
    strange = Paths(paths.root / "a,b:c\\d,lowerdir=x", paths.run)
    (paths.root).mkdir()
    for box in make_box(driver, strange, None):
        assert box.sh("echo fine") == "fine\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a filesystem that cannot carry an overlay")
def test_unfit_filesystem_is_said_with_the_way_out(box: Box, short_path: Path) -> None:
    """A store that lies on an overlay itself, as inside another container."""
    for name in ("u", "w", "m"):
        (short_path / name).mkdir()
    options = f"lowerdir={box.paths.root},upperdir={short_path}/u,workdir={short_path}/w"
    subprocess.run(["mount", "-t", "overlay", "o", "-o", options, short_path / "m"], check=True)
    try:
        nested = Box(box.driver, Paths(short_path / "m", box.paths.run), "host")
        report = nested.run("true")
        assert report.error == "Unsupported"
        assert "PYDOCK_ROOT" in report.way_out
    finally:
        subprocess.run(["umount", short_path / "m"], check=True)
