"""The default image, made of this machine's own Python."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pydock_engine.engine import Engine
from pydock_engine.errors import UsageError
from pydock_engine.image import interpreter, local_python
from pydock_engine.image.collection import Images
from pydock_engine.image.host_python import Relocation
from pydock_engine.image.host_tree import Tree
from pydock_engine.image.local_python import (
    DEFAULT_REFERENCE,
    LocalLayers,
    check_is_local,
    collect_local_image,
    ensure_local_image,
    site_packages,
)
from pydock_engine.image.records import PullProgress
from pydock_engine.image.shared_objects import Libraries, read_elf
from pydock_engine.layer.pack import pack
from pydock_engine.paths import Paths
from pydock_engine.protocol.messages import BuildLocalImage
from pydock_engine.store.database import Database
from pydock_engine.testing.jobs import InProcessJobs

LEVEL = "root" if os.geteuid() == 0 else "rootless-single"
PROGRAM = """
import bz2, ctypes, decimal, hashlib, json, lzma, sqlite3, ssl, sys, zlib, asyncio, pwd
assert ssl.create_default_context().cert_store_stats()["x509"] > 0 or {no_certificates}
assert pwd.getpwuid(0).pw_name == "root"
print(*sys.version_info[:3], sep=".")
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LocalLayers]:
    target = tmp_path_factory.mktemp("local") / "target"
    notes: list[str] = []
    answer = collect_local_image(
        BuildLocalImage(target=str(target)), lambda current, total, note: notes.append(note)
    )
    assert notes == ["base", "python", "packages"]
    return target, msgspec.convert(answer, LocalLayers)


def names_in(file: Path) -> set[str]:
    with tarfile.open(file) as tar:
        return {info.name for info in tar}


def test_three_layers_say_in_words_what_they_are(collected: tuple[Path, LocalLayers]) -> None:
    target, made = collected
    assert [layer.file for layer in made.layers] == [
        "base.tar.gz",
        "python.tar.gz",
        "packages.tar.gz",
    ]
    assert "shell" in made.layers[0].created_by
    assert interpreter.current_interpreter().version in made.layers[1].created_by
    assert sorted(os.listdir(target)) == sorted(layer.file for layer in made.layers)


def test_layers_hold_what_a_container_needs(collected: tuple[Path, LocalLayers]) -> None:
    target, _ = collected
    base, python, packages = (
        names_in(target / f"{name}.tar.gz") for name in ("base", "python", "packages")
    )
    assert {"etc/passwd", "etc/group", "etc/hosts", "tmp", "root", "proc", "dev"} <= base
    assert {"usr/bin/env", "usr/bin/id"} <= base or {"bin/ls"} <= base
    assert not base & python, "nothing travels twice"
    short = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert any(name.endswith(f"{short}/os.py") for name in python)
    assert any(name.endswith("bin/python3") for name in python)
    assert any(name.endswith("bin/python") for name in python)
    assert not any("/test/" in name or "/idlelib/" in name for name in python)
    assert not any("site-packages/" in name for name in python)
    assert any(name.endswith(("site-packages", "dist-packages")) for name in packages)


def test_files_belong_to_root_and_only_tmp_is_open_to_all(
    collected: tuple[Path, LocalLayers],
) -> None:
    target, made = collected
    for layer in made.layers:
        with tarfile.open(target / layer.file) as tar:
            for info in tar:
                assert (info.uid, info.gid) == (0, 0)
                open_to_all = info.mode & 0o022 and not info.issym()
                assert not open_to_all or info.name in ("tmp", "var/tmp"), info.name
                assert not info.mode & 0o6000, info.name


def test_same_machine_gives_the_same_layers(
    collected: tuple[Path, LocalLayers], tmp_path: Path
) -> None:
    answer = collect_local_image(
        BuildLocalImage(target=str(tmp_path / "again")), lambda current, total, note: None
    )
    again = msgspec.convert(answer, LocalLayers)
    assert [x.packed.digest for x in again.layers] == [x.packed.digest for x in collected[1].layers]


@pytest.fixture
def jobs() -> InProcessJobs:
    return InProcessJobs(LEVEL)


@pytest.fixture
def images(paths: Paths, jobs: InProcessJobs) -> Iterator[Images]:
    database = Database(paths.database)
    yield Images(paths, database, jobs)
    database.close()


def builds(jobs: InProcessJobs) -> int:
    return sum(isinstance(request, BuildLocalImage) for request in jobs.requests)


def test_made_once_and_again_when_the_interpreter_changed(
    images: Images, jobs: InProcessJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[PullProgress] = []
    first = ensure_local_image(images, steps.append)
    assert first.reference == DEFAULT_REFERENCE
    assert {"base", "python", "packages"} <= {s.digest for s in steps if s.phase == "collecting"}
    assert ensure_local_image(images).id == first.id
    assert builds(jobs) == 1
    monkeypatch.setattr(local_python, "_RECIPE", "another")
    second = ensure_local_image(images)
    assert second.id != first.id
    assert second.chain_ids == first.chain_ids, "the same files make the same layers"
    assert builds(jobs) == 2
    assert [summary.reference for summary in images.list()] == [DEFAULT_REFERENCE]


def test_history_and_config_are_an_ordinary_images(images: Images) -> None:
    image = ensure_local_image(images)
    history = images.history(DEFAULT_REFERENCE)
    assert len(history) == 3
    assert all(entry.created_by and entry.size_bytes for entry in history)
    assert image.config.config is not None
    assert image.config.config.cmd == ("python3",)
    assert any(line.startswith("PATH=/usr/local/sbin:") for line in image.config.config.env or ())
    assert os.listdir(images.paths.ingest) == [], "nothing under way is left"
    check_is_local(image)


def test_with_env_is_refused_for_an_image_of_another_python(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = ensure_local_image(images)
    monkeypatch.setattr(local_python, "_RECIPE", "another")
    with pytest.raises(UsageError, match="--with-env needs the image made from this Python"):
        check_is_local(image)


def test_site_packages_are_the_ones_this_process_imports_from() -> None:
    assert any(Path(folder, "pytest").is_dir() for folder in site_packages())
    assert all(os.path.isdir(folder) and folder in sys.path for folder in site_packages())


@pytest.mark.root
@pytest.mark.userns
def test_a_container_of_it_runs_python_and_the_tools(engine: Engine) -> None:
    from pydock_engine.container.options import RunOptions

    image = engine.images.ensure_default()
    no_certificates = not os.path.exists("/etc/ssl/certs/ca-certificates.crt")
    program = PROGRAM.format(no_certificates=no_certificates)

    def run(*command: str) -> str:
        options = RunOptions(image=image.reference, command=command, rm=True)
        result = engine.containers.run(options)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout.strip()

    assert run("python3", "-c", program) == interpreter.current_interpreter().version
    assert run("sh", "-c", "ls / | grep -c ^tmp$; id -u; echo a-b | sed s/-/+/") == "1\n0\na+b"
    assert run("python", "-c", "import site; print(len(site.getsitepackages()))") != "0"


# -- parts -------------------------------------------------------------------------------------


def test_libraries_of_a_program_include_those_of_its_libraries() -> None:
    found = Libraries().closure([interpreter.current_interpreter().executable])
    names = {os.path.basename(path) for path in found}
    assert any(name.startswith("libc.") for name in names)
    assert any(name.startswith("ld-") for name in names), "the loader itself"


def test_scripts_and_damaged_programs_need_no_libraries(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "damaged").write_bytes(b"\x7fELF\x02\x01\x01" + b"\xff" * 100)
    assert read_elf(str(tmp_path / "script")) is None
    assert read_elf(str(tmp_path / "damaged")) is None
    assert read_elf(str(tmp_path / "missing")) is None
    assert Libraries().closure([str(tmp_path / "script"), str(tmp_path / "damaged")]) == set()


@pytest.mark.parametrize(
    ("prefix", "path", "place"),
    [
        ("/home/me/.pyenv/versions/3.12.1", "/lib/python3.12", "/usr/local/lib/python3.12"),
        ("/usr", "/lib/python3.12", "/usr/lib/python3.12"),
        ("/usr/local", "/lib/python3.12", "/usr/local/lib/python3.12"),
    ],
)
def test_python_moves_to_usr_local_unless_it_is_the_systems(
    prefix: str, path: str, place: str
) -> None:
    assert Relocation(prefix)(prefix + path) == place
    assert Relocation(prefix)("/opt/other") == "/opt/other"


def test_tree_takes_links_with_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("between")
    (tmp_path / "between").symlink_to("real")
    tree = Tree()
    tree.host(str(tmp_path / "link"))
    tree.host(str(tmp_path / "missing"))
    items = {item.name.decode(): item for item in tree.items()}
    real = str(tmp_path / "real").lstrip("/")
    assert items[real].source == os.fsencode(tmp_path / "real")
    assert items[str(tmp_path / "link").lstrip("/")].link == b"/" + real.encode()
    assert len(Tree(tree).items()) == 0
    above = Tree(tree)
    above.host(str(tmp_path / "real"))
    assert above.items() == [], "the layer below has it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_unreadable_files_are_counted_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    (tmp_path / "locked").mkdir(mode=0)
    tree = Tree()
    tree.copy(str(tmp_path), "/data", lambda path, is_folder: True)
    (tmp_path / "locked").chmod(0o700)
    assert tree.skipped == 2
    assert pack(tree.items(), io.BytesIO()).unreadable == 0
