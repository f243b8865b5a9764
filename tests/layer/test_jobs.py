"""The jobs as the spawner runs them: in the right user namespace, at this user's level."""

from __future__ import annotations

import os
import pwd
import stat
import tarfile
from pathlib import Path

import pytest
from pydock_engine.engine import Engine
from pydock_engine.errors import IntegrityError, LayerError, PydockError
from pydock_engine.image.records import LayerRecord
from pydock_engine.layer.record import read_record
from pydock_engine.protocol.messages import CommitLayer, RemoveTrees, UnpackLayer
from pydock_engine.store.root import open_root

from tests.layer.conftest import digest_of
from tests.support.images import Member, entry, folder, symlink, tar, whiteout

pytestmark = [pytest.mark.root, pytest.mark.userns]

CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)


@pytest.fixture
def target(engine: Engine) -> Path:
    open_root(engine.paths)
    return engine.paths.layers_ingest / "session.0"


def unpack(engine: Engine, target: Path, members: list[Member], diff_id: str = "") -> LayerRecord:
    data = tar(members)
    blob = engine.paths.root / "blob"
    blob.write_bytes(data)
    request = UnpackLayer(
        media_type="", diff_id=diff_id or digest_of(data), target=str(target), blob=str(blob)
    )
    engine.spawner.run_job(request)
    return read_record(target)


def owner_of(path: Path, engine: Engine) -> tuple[int, int] | str:
    """As the container will see it: in the ids of the spawner's namespace, or recorded."""
    status = path.lstat()
    if engine.spawner.level() == "rootless-single":
        assert status.st_uid == os.geteuid()
        if path.is_symlink() or "user.pydock.owner" not in os.listxattr(path):
            return "unrecorded"
        return os.getxattr(path, "user.pydock.owner").decode()
    if engine.spawner.level() == "rootless":
        assert status.st_uid >= 65536, "a subordinate id"
        first = first_subordinate_id()
        return status.st_uid - first + 1, status.st_gid - first + 1
    return status.st_uid, status.st_gid


def first_subordinate_id() -> int:
    name = pwd.getpwuid(os.geteuid()).pw_name
    lines = Path("/etc/subuid").read_text().splitlines()
    return int(next(line.split(":")[1] for line in lines if line.startswith(f"{name}:")))


def test_owners_whiteouts_and_modes_at_this_level(engine: Engine, target: Path) -> None:
    record = unpack(
        engine,
        target,
        [
            folder("d", 0o2750, uid=33, gid=33),
            entry("d/f", data=b"x", uid=1000, gid=50, mode=0o4711),
            symlink("l", "d", uid=9, gid=9),
            whiteout("gone"),
            folder("o"),
            entry("o/.wh..wh..opq"),
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        ],
    )
    level = engine.spawner.level()
    diff = target / "diff"
    single = level == "rootless-single"
    if level == "rootless":  # the folder is another id's now: look at it with that id's rights
        assert stat.S_IMODE((diff / "d").stat().st_mode) == 0o2750
        assert owner_of(diff / "d", engine) == (33, 33)
    else:
        assert owner_of(diff / "d/f", engine) == ("1000:50" if single else (1000, 50))
        assert stat.S_IMODE((diff / "d/f").stat().st_mode) == 0o4711
        assert owner_of(diff / "d", engine) == ("33:33" if single else (33, 33))
    assert owner_of(diff / "l", engine) == ("unrecorded" if single else (9, 9))
    gone = (diff / "gone").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    if level != "root":
        assert os.getxattr(diff / "o", "user.overlay.opaque") == b"y"
    assert record.foreign_owners == (3 if single else 0)
    assert record.skipped_devices == (0 if level == "root" else 1)


def test_ids_beyond_the_range_are_recorded(engine: Engine, target: Path) -> None:
    record = unpack(engine, target, [entry("f", uid=3_000_000, gid=3_000_000)])
    if engine.spawner.level() == "root":
        assert (target / "diff/f").stat().st_uid == 3_000_000
    else:
        assert os.getxattr(target / "diff/f", "user.pydock.owner") == b"3000000:3000000"
        assert record.foreign_owners == 1


def test_file_capabilities_are_kept_where_the_kernel_allows(engine: Engine, target: Path) -> None:
    headers = {"SCHILY.xattr.security.capability": os.fsdecode(CAPABILITY)}
    record = unpack(engine, target, [entry("ping", mode=0o755, pax_headers=headers)])
    assert record.skipped_xattrs == 0
    assert "security.capability" in os.listxattr(target / "diff/ping")


def test_locked_folders_of_other_ids_can_be_removed(engine: Engine, target: Path) -> None:
    unpack(engine, target, [folder("d", 0, uid=1000), entry("d/f", mode=0, uid=1000)])
    engine.spawner.run_job(RemoveTrees(paths=(str(target),)))
    assert not target.exists()


def test_committed_layer_takes_its_place(engine: Engine, target: Path) -> None:
    unpack(engine, target, [folder("d", 0o750, uid=33, gid=33)])
    bottom = engine.paths.layer("sha256:" + "a" * 64)
    engine.spawner.run_job(CommitLayer(source=str(target), destination=str(bottom)))
    unpack(engine, target, [entry("d/f", uid=5)])
    top = engine.paths.layer("sha256:" + "b" * 64)
    engine.spawner.run_job(
        CommitLayer(source=str(target), destination=str(top), parents=(str(bottom),))
    )
    assert stat.S_IMODE((top / "diff/d").stat().st_mode) == 0o750
    assert owner_of(top / "diff/d", engine) == owner_of(bottom / "diff/d", engine)


@pytest.mark.parametrize(
    ("members", "diff_id", "error"),
    [
        ([entry("../x")], "", LayerError),
        ([entry("f", uid=1000), entry("f/g")], "", LayerError),
        ([entry("f", uid=1000)], "sha256:" + "0" * 64, IntegrityError),
    ],
)
def test_refused_layer_leaves_nothing(
    engine: Engine, target: Path, members: list[Member], diff_id: str, error: type[PydockError]
) -> None:
    with pytest.raises(error):
        unpack(engine, target, members, diff_id)
    assert not target.exists()
