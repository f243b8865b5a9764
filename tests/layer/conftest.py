"""Unpacking in the test's own process, beside a canary that nothing may touch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydock_engine.image.records import LayerRecord
from pydock_engine.layer.limits import Limits
from pydock_engine.layer.record import read_record
from pydock_engine.layer.remove import remove_tree
from pydock_engine.layer.unpack import unpack_layer
from pydock_engine.protocol.messages import UnpackLayer

from tests.support.images import Member, tar


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def no_report(current: int, total: int, note: str = "") -> None:
    pass


@dataclass(frozen=True)
class Unpacked:
    target: Path
    answer: dict[str, object]

    @property
    def diff(self) -> Path:
        return self.target / "diff"

    @property
    def record(self) -> LayerRecord:
        return read_record(self.target)

    def xattr(self, name: str, key: str) -> bytes | None:
        path = self.diff / name
        found = os.listxattr(path, follow_symlinks=False)
        return os.getxattr(path, key, follow_symlinks=False) if key in found else None


Unpack = Callable[..., Unpacked]


@pytest.fixture
def level() -> str:
    """What this user can do without a user namespace."""
    return "root" if os.geteuid() == 0 else "rootless-single"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A folder beside the layer with a file in it; `unpack` checks it after every call."""
    folder = tmp_path / "canary"
    folder.mkdir(mode=0o700)
    (folder / "secret").write_text("untouched")
    os.utime(folder / "secret", (1, 1))
    os.utime(folder, (1, 1))
    return folder


def state_of(folder: Path) -> list[object]:
    found: list[object] = []
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path), status.st_mode, status.st_uid, status.st_mtime, content))
        found.append((status.st_nlink, tuple(os.listxattr(path, follow_symlinks=False))))
    return found


@pytest.fixture
def unpack(tmp_path: Path, canary: Path, level: str) -> Iterator[Unpack]:
    """unpack(members or bytes, *, blob=bytes as they travel, diff_id=, level=, limits=)"""
    before = state_of(canary)
    taken = 0

    def call(
        content: list[Member] | bytes,
        *,
        blob: bytes | None = None,
        diff_id: str | None = None,
        level: str = level,
        limits: Limits | None = None,
    ) -> Unpacked:
        nonlocal taken
        taken += 1
        data = content if isinstance(content, bytes) else tar(content)
        source = tmp_path / "blob"
        source.write_bytes(data if blob is None else blob)
        target = tmp_path / f"layer{taken}"
        request = UnpackLayer(
            media_type="application/vnd.oci.image.layer.v1.tar",
            diff_id=diff_id or digest_of(data),
            target=str(target),
            blob=str(source),
        )
        try:
            answer = unpack_layer(request, None, no_report, level=level, limits=limits)
        except BaseException:
            assert not target.exists(), "a failed unpack leaves nothing"
            raise
        finally:
            assert state_of(canary) == before, "the canary was touched"
        return Unpacked(target, answer)

    yield call
    # pytest's own removal stops at folders whose modes lock their owner out
    for number in range(1, taken + 1):
        remove_tree(tmp_path / f"layer{number}")
