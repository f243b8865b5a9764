"""A merged root from unpacked layers, as one detached overlay mount.

Everything is put together inside a scratch tmpfs in the caller's own mount namespace. It can be
unmounted at once, since the overlay keeps its layers by itself; but unmounting waits for an RCU
grace period, so `clear_scratch` is left to a moment when the caller would wait anyway.

    l/     the store's folder of layers, id-mapped once for all of them
    s/     the snapshot folder (upper and work), id-mapped
    0, 1…  links into l/, topmost layer first: mount(2) takes 4095 bytes of options, and 100
           layers named in full would need twice that
    m/     the overlay

Layers may be shown with other ids since Linux 5.19, and overlay may be mounted by an ordinary
user (option userxattr) since 5.11.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import errors
from ..runtime import syscalls
from ..runtime.filesystems import MountOptions, clone_tree, idmap_tree, new_filesystem
from ..runtime.idmap import UserNamespace
from ..runtime.steps import step
from ..runtime.syscalls import AT_FDCWD, MNT_DETACH, MS_PRIVATE, OPEN_TREE_CLONE

MAX_LAYERS = 500
"""The kernel's own limit (OVL_MAX_STACK)."""

_UNFIT = (errno.EINVAL, errno.EREMOTE, errno.EOPNOTSUPP, errno.ESTALE, errno.ENOTSUP)


def mount_overlay(
    layers: Path,
    lower: Sequence[str],
    snapshot: Path,
    *,
    scratch: Path,
    userns: UserNamespace | None = None,
    userxattr: bool = False,
) -> int:
    """The merged root as a detached mount (the caller's to close).

    Parameters
    ----------
    layers
        The store's folder of unpacked layers.
    lower
        The layers' `diff` folders relative to `layers`, topmost first.
    snapshot
        Receives `upper` and `work`, made here when missing.
    scratch
        An existing folder to work on, in the caller's own mount namespace; covered until
        `clear_scratch`.
    userns
        Show everything with the ids of this user namespace; None for as it lies on disk.
    userxattr
        Keep overlay's own attributes in `user.*`, for those who may not write `trusted.*`.

    Raises UsageError for too many layers, Unsupported where the store's filesystem cannot
    carry an overlay, StoreError when a layer is not there.
    """
    if not 0 < len(lower) <= MAX_LAYERS:
        raise errors.UsageError(
            f"an image of {len(lower)} layers: 1 to {MAX_LAYERS} can be mounted"
        )
    _prepare(snapshot)
    workbench = new_filesystem("tmpfs", MountOptions(data=(("mode", "700"),)))
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with step("move_mount", str(scratch)):
            syscalls.move_mount(workbench, AT_FDCWD, scratch)
        # Relative names: no path of the store, whatever is in it, becomes part of mount options.
        os.fchdir(workbench)
        try:
            return _merge(layers, lower, snapshot, userns, userxattr)
        except BaseException:
            clear_scratch(scratch)
            raise
    finally:
        os.fchdir(here)
        os.close(here)
        os.close(workbench)


def clear_scratch(scratch: Path) -> None:
    """Unmounts what `mount_overlay` put its root together in."""
    with step("umount2", str(scratch)):
        syscalls.umount2(scratch, MNT_DETACH)


def _prepare(snapshot: Path) -> None:
    try:
        for folder in (snapshot, snapshot / "upper", snapshot / "work"):
            folder.mkdir(mode=0o755 if folder.name == "upper" else 0o700, exist_ok=True)
    except OSError as error:
        raise errors.disk_error(error, snapshot) from error


def _merge(
    layers: Path,
    lower: Sequence[str],
    snapshot: Path,
    userns: UserNamespace | None,
    userxattr: bool,
) -> int:
    """In the current folder, the workbench."""
    for name, source in (("l", layers), ("s", snapshot)):
        os.mkdir(name)
        _show(source, name, userns)
    for index, path in enumerate(lower):
        os.symlink(f"l/{path}", str(index))
    os.mkdir("m")
    stack = ":".join(str(index) for index in range(len(lower)))
    data = f"lowerdir={stack},upperdir=s/upper,workdir=s/work"
    try:
        with _made_as(userns):
            syscalls.mount("overlay", "m", "overlay", 0, data + (",userxattr" if userxattr else ""))
    except OSError as error:
        raise _explained(error, lower, snapshot) from error
    with step("open_tree", "overlay"):
        return syscalls.open_tree(AT_FDCWD, "m", OPEN_TREE_CLONE)


@contextlib.contextmanager
def _made_as(userns: UserNamespace | None) -> Iterator[None]:
    """Mounts as the root of `userns`.

    Overlay makes its temporary files (copy-up, whiteouts) as whoever mounted it, and on an
    id-mapped upper only ids of the map can make files; as the host's root it would quietly
    become read-only.
    """
    if userns is None:
        yield
        return
    syscalls.set_filesystem_ids(userns.root_uid, userns.root_gid)
    try:
        yield
    finally:
        syscalls.set_filesystem_ids(0, 0)


def _show(source: Path, name: str, userns: UserNamespace | None) -> None:
    fd = clone_tree(str(source), recursive=False)
    try:
        syscalls.mount_setattr(fd, propagation=MS_PRIVATE)
        if userns is not None:
            idmap_tree(fd, userns, str(source), recursive=False)
        with step("move_mount", str(source)):
            syscalls.move_mount(fd, AT_FDCWD, name)
    finally:
        os.close(fd)


def _explained(error: OSError, lower: Sequence[str], snapshot: Path) -> errors.PydockError:
    """Why overlay said no: a missing layer, an unfit filesystem, or the bare refusal."""
    for index, path in enumerate(lower):
        if not os.path.isdir(str(index)):
            return errors.StoreError(
                f"layer {path} is not unpacked", way_out="remove the image and pull it again"
            )
    if error.errno in _UNFIT:
        return errors.Unsupported(
            f"the filesystem of {snapshot} cannot hold the top of an overlay",
            way_out="set PYDOCK_ROOT to a folder on ext4, xfs, btrfs or tmpfs",
            path=str(snapshot),
        )
    if error.errno in (errno.EPERM, errno.ENODEV):
        return errors.Unsupported(
            f"this kernel does not mount overlayfs here ({os.strerror(error.errno).lower()})",
            way_out="load it with `modprobe overlay`; rootless needs Linux 5.11, root 5.19",
        )
    return errors.SyscallError.from_os_error("mount", error, "overlay")
