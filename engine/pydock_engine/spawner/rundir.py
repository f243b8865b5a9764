"""The run directory: ours alone, whoever made its name first.

Its sockets start processes, so one that another user could prepare (`/tmp/pydock-1000`) is refused,
never repaired.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import StoreError, disk_error


def prepare(run: Path) -> None:
    """Makes `run` when it is missing; returns only when it is ours with mode 0700.

    Raises
    ------
    StoreError
        Another user owns it or could swap one of its parents.
    """
    try:
        os.makedirs(run, mode=0o700, exist_ok=True)
    except FileExistsError as error:
        raise _refused(run, "is not a folder") from error
    except OSError as error:
        raise disk_error(error, run) from error
    real = Path(os.path.realpath(run))
    _check_own(real)
    for parent in real.parents:
        _check_parent(parent, real)


def _check_own(path: Path) -> None:
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(path, "is not a folder")
    if found.st_uid != os.geteuid():
        raise _refused(path, f"belongs to uid {found.st_uid}")
    if stat.S_IMODE(found.st_mode) != 0o700:
        os.chmod(path, 0o700)


def _check_parent(parent: Path, run: Path) -> None:
    found = os.lstat(parent)
    if found.st_uid not in (0, os.geteuid()):
        raise _refused(run, f"lies below {parent}, which belongs to uid {found.st_uid}")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise _refused(run, f"lies below {parent}, which everybody may change")


def _refused(path: Path, why: str) -> StoreError:
    return StoreError(
        f"the run directory {path} {why}",
        way_out="set PYDOCK_RUN to a folder that only you can write to",
        path=str(path),
    )
