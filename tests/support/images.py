"""Images for tests, written by hand here so that they do not depend on the engine's own writers.

`busybox_image()` is small (two layers, a whiteout, an empty history entry); `debian_image()` is a
real Debian with Python, made once by debootstrap and kept in a cache folder.
"""

from __future__ import annotations

import fcntl
import functools
import gzip
import hashlib
import io
import json
import os
import platform as host
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from tests.support.packages import find_program

BUSYBOX_PROGRAM = "busybox"
CACHE_VARIABLE = "PYDOCK_TESTS_CACHE"
CREATED = "2024-01-02T03:04:05Z"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(host.machine(), host.machine())
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

Member = tuple[tarfile.TarInfo, bytes]


@dataclass(frozen=True)
class Blob:
    media_type: str
    data: bytes

    @functools.cached_property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.data),
            **more,
        }


@dataclass(frozen=True)
class Image:
    """A manifest with everything it points to; `tars` are the layers uncompressed, bottom first."""

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]
    tars: tuple[bytes, ...] = ()

    @property
    def diff_ids(self) -> list[str]:
        return list(json.loads(self.config.data)["rootfs"]["diff_ids"])


@dataclass(frozen=True)
class Index:
    """An image index (a manifest list) and the images in it."""

    manifest: Blob
    images: tuple[Image, ...]


# -- tars --------------------------------------------------------------------------------------


def entry(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any) -> Member:
    """One tar member; `fields` are TarInfo's attributes (mode, uid, linkname, pax_headers, …)."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime, info.mode = kind, len(data), 1_704_164_645, 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def folder(name: str, mode: int = 0o755, **fields: Any) -> Member:
    return entry(name, tarfile.DIRTYPE, mode=mode, **fields)


def symlink(name: str, target: str, **fields: Any) -> Member:
    return entry(name, tarfile.SYMTYPE, linkname=target, mode=0o777, **fields)


def whiteout(name: str) -> Member:
    """What deletes `name` of the layers below."""
    parent, _, last = name.rpartition("/")
    return entry(f"{parent}/.wh.{last}" if parent else f".wh.{last}")


def tar(members: Iterable[Member]) -> bytes:
    """An uncompressed PAX tar of `members`, in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


# -- images ------------------------------------------------------------------------------------


def make_image(
    tars: Iterable[bytes],
    *,
    config: dict[str, Any] | None = None,
    compression: str = "gzip",
    docker: bool = False,
    architecture: str = ARCHITECTURE,
    history: list[dict[str, Any]] | None = None,
) -> Image:
    """An image of these layers, bottom first.

    Parameters
    ----------
    config
        The `config` object of the image config (`Cmd`, `Env`, …).
    compression
        gzip, zstd or none.
    docker
        Docker's schema 2 media types instead of OCI's.
    history
        One entry per layer unless given.
    """
    tars = tuple(tars)
    layers = tuple(compress(data, compression, docker=docker) for data in tars)
    made_by = [
        {"created": CREATED, "created_by": f"layer {number}"} for number, _ in enumerate(tars)
    ]
    document = {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": config or {},
        "rootfs": {
            "type": "layers",
            "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in tars],
        },
        "history": history or made_by,
    }
    kind = "docker.container" if docker else "oci"
    config_blob = json_blob(
        f"application/vnd.{kind}.image{'' if docker else '.config'}.v1+json", document
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": config_blob.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return Image(json_blob(manifest["mediaType"], manifest), config_blob, layers, tars)


def make_index(*images: Image, docker: bool = False) -> Index:
    """An index of `images`, each listed with the platform its config names."""
    entries = []
    for image in images:
        config = json.loads(image.config.data)
        described = {key: config[key] for key in ("architecture", "os", "variant") if key in config}
        entries.append(image.manifest.descriptor(platform=described))
    media_type = DOCKER_LIST if docker else OCI_INDEX
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    return Index(json_blob(media_type, document), images)


def compress(data: bytes, compression: str, *, docker: bool = False) -> Blob:
    base = DOCKER_LAYER if docker else OCI_LAYER
    if compression == "none":
        return Blob(base, data)
    if compression == "zstd":
        return Blob(
            f"{base}{'.' if docker else '+'}zstd", zstandard.ZstdCompressor(level=1).compress(data)
        )
    suffix = ".gzip" if docker else "+gzip"
    return Blob(base + suffix, gzip.compress(data, compresslevel=1, mtime=0))


def json_blob(media_type: str, document: Any) -> Blob:
    return Blob(media_type, json.dumps(document, separators=(",", ":")).encode())


def write_layout(image: Image, target: Path, name: str = "latest") -> Path:
    """`image` as an OCI layout in `target`, for skopeo, umoci and `oci:` references."""
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for blob in (image.manifest, image.config, *image.layers):
        (blobs / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    (target / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    named = image.manifest.descriptor(annotations={"org.opencontainers.image.ref.name": name})
    index = json_blob(OCI_INDEX, {"schemaVersion": 2, "manifests": [named]})
    (target / "index.json").write_bytes(index.data)
    return target


# -- busybox -----------------------------------------------------------------------------------

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1000:\nextra:x:2000:app\n"


@functools.cache
def busybox_image(compression: str = "gzip", docker: bool = False) -> Image:
    """Debian's static busybox with its applets, and a second layer that adds and deletes a file.

    `/etc/motd` and `/opt/hello` (a script) are of the second layer, `/etc/removed` is of the first
    and deleted by the second. Users: root, app (1000, also in group extra, 2000).
    """
    return make_image(
        [tar(_busybox_base()), tar(_busybox_extras())],
        config={"Cmd": ["sh"], "Env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin", "MADE_BY=tests"]},
        compression=compression,
        docker=docker,
        history=[
            {"created": CREATED, "created_by": "ADD busybox / # applets", "comment": "base"},
            {"created": CREATED, "created_by": 'CMD ["sh"]', "empty_layer": True},
            {"created": CREATED, "created_by": "COPY hello /opt/hello"},
        ],
    )


def _busybox_base() -> list[Member]:
    program = find_program(BUSYBOX_PROGRAM)
    if program is None:
        raise FileNotFoundError("busybox-static is not installed")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    links = [
        symlink(f"bin/{applet}", "busybox")
        for applet in applets.stdout.split()
        if applet != "busybox"
    ]
    folders = ["bin", "etc", "home", "opt", "proc", "sys", "dev", "usr", "usr/bin", "var"]
    return [
        *(folder(name) for name in folders),
        folder("root", 0o700),
        folder("tmp", 0o1777),
        folder("home/app", 0o755, uid=1000, gid=1000),
        entry("bin/busybox", data=Path(program).read_bytes(), mode=0o755),
        *links,
        entry("etc/passwd", data=PASSWD),
        entry("etc/group", data=GROUP),
        entry("etc/removed", data=b"deleted by the second layer\n"),
        entry("home/app/note", data=b"app's own\n", uid=1000, gid=1000, mode=0o600),
    ]


def _busybox_extras() -> list[Member]:
    return [
        folder("etc"),
        entry("etc/motd", data=b"busybox of the tests\n"),
        whiteout("etc/removed"),
        folder("opt"),
        entry("opt/hello", data=b"#!/bin/sh\necho hello from the second layer\n", mode=0o755),
    ]


# -- debian ------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where large images are kept between runs; root's is readable by all."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/cache/pydock-tests")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pydock-tests"


def debian_image() -> Image:
    """A real Debian with Python in two layers: base, then everything of Python.

    Made once by debootstrap (root, about a minute), then read from `cache_folder()`. Raises
    FileNotFoundError with the reason when it is not there and cannot be made.
    """
    kept = cache_folder() / f"debian-{ARCHITECTURE}"
    tars = [kept / "base.tar", kept / "python.tar"]
    if not kept.exists():
        _make_debian(kept)
    config = {"Cmd": ["python3"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]}
    return make_image([path.read_bytes() for path in tars], config=config)


def _make_debian(kept: Path) -> None:
    debootstrap = find_program("debootstrap")
    if debootstrap is None or os.geteuid() != 0:
        raise FileNotFoundError(f"no {kept}: made by root with debootstrap")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            return
        with tempfile.TemporaryDirectory(dir=kept.parent) as place:
            root, made = Path(place, "root"), Path(place, "made")
            command = [debootstrap, "--variant=minbase", "--include=python3", _suite()]
            subprocess.run([*command, str(root), _mirror()], check=True, capture_output=True)
            made.mkdir()
            _split(root, made)
            made.chmod(0o755)
            made.rename(kept)


def _split(root: Path, made: Path) -> None:
    """Packs `root` into base.tar and python.tar, apart from what packages were downloaded as."""
    python = ["./usr/lib/python3*", "./usr/share/python3*", "./usr/bin/*python3*"]
    waste = ["./var/cache/apt", "./var/lib/apt/lists"]
    whole = ["tar", "--create", "--directory", str(root), "--numeric-owner", "--xattrs"]
    excluded = [f"--exclude={pattern}" for pattern in (*python, *waste)]
    subprocess.run([*whole, *excluded, "--file", str(made / "base.tar"), "."], check=True)
    names = sorted(
        str(path.relative_to(root))
        for pattern in python
        for path in root.glob(pattern.removeprefix("./"))
    )
    subprocess.run([*whole, "--file", str(made / "python.tar"), *names], check=True)


def _suite() -> str:
    """This machine's Debian release, so that debootstrap knows its keys."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "stable"


def _mirror() -> str:
    """Where this machine's own packages come from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if not listed:
        raise FileNotFoundError("this machine names no Debian mirror (`apt-get indextargets`)")
    return listed[0]
