"""Fixtures for all areas: an engine of its own per test, real registries, leak checks.

`engine`        an `Engine` with its own root and run folders, its spawner stopped afterwards
`paths`         those folders; PYDOCK_ROOT and PYDOCK_RUN point there for subprocesses too
`registry`      Debian's docker-registry on loopback, anonymous, for the whole session
`busybox_reference`  the small test image, pushed there

Every test is checked for what it leaves behind (support/leaks.py).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support import packages
from tests.support.images import BUSYBOX_PROGRAM, busybox_image
from tests.support.leaks import TOKEN, LeakCheck
from tests.support.registry import Registry, serve_registry

if TYPE_CHECKING:
    from pydock_engine.engine import Engine
    from pydock_engine.paths import Paths

SOURCE = Path(__file__).parents[1]
short_folder = pytest.StashKey[Path]()

# A busy machine is no failure, and what CI finds can be found again.
settings.register_profile("pydock", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pydock")


# -- the run as a whole ------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """A short folder for sockets, and an environment that subprocesses find the source by."""
    folder = Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    config.stash[short_folder] = folder
    os.environ[TOKEN] = secrets.token_hex(8)
    places = [str(SOURCE / "engine"), str(SOURCE)]
    inherited = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *inherited])
    # A shell starts background jobs with SIGINT ignored, and that is inherited: tests of interrupts
    # would wait for ever for programs that cannot hear them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # No test touches the user's own store, even one that forgets to ask for `paths`.
    os.environ["PYDOCK_ROOT"] = str(folder / "unasked" / "root")
    os.environ["PYDOCK_RUN"] = str(folder / "unasked" / "run")


def pytest_unconfigure(config: pytest.Config) -> None:
    if short_folder in config.stash:
        shutil.rmtree(config.stash[short_folder], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Turns markers into skips that say what is missing."""
    for item in items:
        reason = skip_reason(item)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def skip_reason(item: pytest.Item) -> str:
    as_root = os.geteuid() == 0
    marked = {marker.name for marker in item.iter_markers()}
    if "root" in marked and "userns" not in marked and not as_root:
        return "needs root"
    if "userns" in marked and "root" not in marked and as_root:
        return "needs an ordinary user: `make test` runs it in a later pass"
    if "userns" in marked and not as_root and not user_namespaces_allowed():
        return "needs user namespaces, which this machine keeps from ordinary users (sysctl)"
    programs = [name for marker in item.iter_markers("needs") for name in marker.args]
    if "network" in marked:
        programs.append("docker-registry")
    return packages.missing_reason(*programs)


def user_namespaces_allowed() -> bool:
    for switch, refused in (
        ("user/max_user_namespaces", "0"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
    ):
        with contextlib.suppress(OSError):
            if Path("/proc/sys", switch).read_text().strip() == refused:
                return False
    return True


# -- leaks -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nothing_left_behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Fails a test that leaves a process, mount, cgroup, link or descriptor behind."""
    folders = [request.config.stash[short_folder], tmp_path_factory.getbasetemp()]
    check = LeakCheck(os.environ[TOKEN], folders)
    before = check.take()
    yield
    left = check.leaks(before)
    check.clean_up(before)
    unasked = request.config.stash[short_folder] / "unasked"
    if unasked.exists():
        shutil.rmtree(unasked, ignore_errors=True)
        left.append("a store outside of the test's own folder: ask for the fixture `paths`")
    if left:
        pytest.fail("left behind:\n  " + "\n  ".join(left), pytrace=False)


# -- engines -----------------------------------------------------------------------------------


@pytest.fixture
def short_path(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A fresh folder with a name short enough for unix sockets below it."""
    folder = Path(tempfile.mkdtemp(dir=request.config.stash[short_folder]))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        pytest.fail(f"cannot remove {folder}: files of other owners are left", pytrace=False)


@pytest.fixture
def paths(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Folders of an engine of its own, for this process and its subprocesses."""
    from pydock_engine.paths import Paths

    monkeypatch.setenv("PYDOCK_ROOT", str(short_path / "root"))
    monkeypatch.setenv("PYDOCK_RUN", str(short_path / "run"))
    return Paths.default()


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    """An engine of its own; afterwards its containers are removed and its spawner is stopped."""
    from pydock_engine.engine import Engine

    engine = Engine(paths.root)
    yield engine
    close_engine(engine)


def close_engine(engine: Engine) -> None:
    """Ends everything of `engine` and empties its folders (files of subordinate ids included)."""
    from pydock_engine.protocol.messages import RemoveTrees

    try:
        if engine.paths.database.exists():
            for container in engine.containers.list(all=True):
                container.remove(force=True)
        if engine.paths.root.exists() and os.geteuid() != 0:
            trees = (str(engine.paths.layers), str(engine.paths.containers))
            engine.spawner.run_job(RemoveTrees(paths=trees))
    finally:
        engine.spawner.stop()
        engine.database.close()


# -- registries and images ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An anonymous registry for the whole session; `registry.host` is `127.0.0.1:PORT`."""
    reason = packages.missing_reason("docker-registry")
    if reason:
        pytest.skip(reason)
    with serve_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def busybox_reference(registry: Registry) -> str:
    """The small test image (two layers), pushed: `127.0.0.1:PORT/team/busybox:1`."""
    reason = packages.missing_reason(BUSYBOX_PROGRAM)
    if reason:
        pytest.skip(reason)
    return registry.push(busybox_image(), "team/busybox:1")
