"""Pulling a 400 MB image of 16,000 files in two gzip layers from a registry on loopback.

The image is made up, with the sizes and the compressibility of a real Debian with Python: many
small files, few large ones, 44 % of its size when compressed. From the reference to unpacked
layers: ours, Docker, Podman, and skopeo with umoci; and, as a bound, what checking, decompressing
and extracting the two layers takes with the usual tools from files that are already here.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import random
import tempfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydock_engine.engine import Engine
from pydock_engine.layer.pack import Item, folder, pack

from benchmarks import peers
from benchmarks.harness import Comparison, Contender, call, compare
from tests.support.images import ARCHITECTURE, OCI_LAYER, OCI_MANIFEST, Blob, Image, json_blob
from tests.support.packages import find_program, missing_reason
from tests.support.registry import serve_registry

LAYERS = 2
FILES_EACH = 7_600
FOLDERS_EACH = 400
BYTES_EACH = 209_000_000
RANDOM_SHARE = 0.04
REPEATS = 3
WARM_UP = 1


def measure() -> list[Comparison]:
    reason = missing_reason("docker-registry")
    if reason:
        raise RuntimeError(reason)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pydock-bench-pull-")))
        (place / "registry").mkdir()
        registry = stack.enter_context(serve_registry(place / "registry"))
        image = make_image()
        # An image of its own for each round: removing one would slow down the next pull, as
        # ext4 passes over recently freed inodes one by one.
        references = [
            registry.push(variant(image, number), f"bench/large:{number}")
            for number in range(WARM_UP + REPEATS)
        ]
        contenders = [
            stack.enter_context(_ours(place, references)),
            _puller(stack.enter_context(peers.dockerd()), references),
            _puller(stack.enter_context(peers.podman()), references, "--tls-verify=false"),
            _skopeo_and_umoci(place, references),
            _bound(place, image),
        ]
        sizes = [sum(map(len, image.tars)), sum(len(layer.data) for layer in image.layers)]
        files = LAYERS * (FILES_EACH + FOLDERS_EACH)
        title = f"pull {sizes[0] / 1e6:.0f} MB in {files:,} files ({sizes[1] / 1e6:.0f} MB gzip)"
        return [compare(title, contenders, repeats=REPEATS, warm_up=WARM_UP)]


# -- contenders --------------------------------------------------------------------------------


@contextlib.contextmanager
def _ours(place: Path, references: list[str]) -> Iterator[Contender]:
    engine = Engine(place / "store")
    rounds = iter(references)
    try:
        yield Contender("pydock", lambda: engine.images.pull(next(rounds)))
    finally:
        engine.spawner.stop()
        engine.database.close()


def _puller(peer: peers.Peer, references: list[str], *options: str) -> Contender:
    rounds = iter(references)

    def pull() -> None:
        call(*peer.command("pull", "--quiet", *options, next(rounds)))

    return Contender(f"{peer.name} pull", pull, skip=peer.skip)


def _skopeo_and_umoci(place: Path, references: list[str]) -> Contender:
    missing = [name for name in ("skopeo", "umoci") if find_program(name) is None]
    rounds = iter(enumerate(references))

    def pull() -> None:
        number, reference = next(rounds)
        target = place / f"umoci{number}"
        target.mkdir()
        source = f"docker://{reference}"
        call("skopeo", "copy", "--src-tls-verify=false", source, f"oci:{target}/image:1")
        call("umoci", "unpack", "--image", f"{target}/image:1", str(target / "bundle"))

    skip = f"not installed ({', '.join(missing)})" if missing else ""
    return Contender("skopeo copy, umoci unpack", pull, skip=skip)


def _bound(place: Path, image: Image) -> Contender:
    blobs = [place / f"layer{number}" for number in range(LAYERS)]
    for blob, layer in zip(blobs, image.layers, strict=True):
        blob.write_bytes(layer.data)
    rounds = itertools.count()

    def extract(blob: Path, target: Path) -> None:
        target.mkdir(parents=True)
        script = 'sha256sum "$0" >"$1.sum" && gzip -dc "$0" | tar -x -C "$1"'
        call("sh", "-c", script, str(blob), str(target))

    def all_layers() -> None:
        target = place / f"bound{next(rounds)}"
        with ThreadPoolExecutor(LAYERS) as threads:
            list(threads.map(extract, blobs, [target / blob.name for blob in blobs]))

    return Contender("bound: sha256sum, gzip -d, tar -x", all_layers)


# -- the image ---------------------------------------------------------------------------------


def make_image() -> Image:
    """Two layers, the same bytes on every machine and in every run."""
    tars = tuple(make_tar(seed) for seed in range(LAYERS))
    with ThreadPoolExecutor(LAYERS) as threads:
        return _image(tars, tuple(threads.map(_gzip, tars)))


def variant(image: Image, number: int) -> Image:
    """The same image but for a first file in each layer: other digests, no other work."""
    name = f"variant{number}".encode()
    buffer = io.BytesIO()
    pack([Item(name, content=name)], buffer, compress=False)
    first = buffer.getvalue()[:1024]  # header and data, without the end mark
    layers = tuple(Blob(x.media_type, _gzip(first).data + x.data) for x in image.layers)
    return _image(tuple(first + data for data in image.tars), layers)


def _image(tars: tuple[bytes, ...], layers: tuple[Blob, ...]) -> Image:
    config = json_blob(
        "application/vnd.oci.image.config.v1+json",
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in tars],
            },
        },
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return Image(json_blob(OCI_MANIFEST, manifest), config, layers, tars)


def make_tar(seed: int) -> bytes:
    """Files of log-normal sizes: half are below 4 KB, the largest have some megabytes."""
    chance = random.Random(seed)
    text, noise = _text(chance), chance.randbytes(8 << 20)
    folders = [f"usr/layer{seed}"]
    while len(folders) < FOLDERS_EACH:
        parent = chance.choice(folders)
        folders.append(f"{parent if parent.count('/') < 8 else folders[0]}/d{len(folders)}")
    weights = [chance.lognormvariate(8.2, 1.9) for _ in range(FILES_EACH)]
    scale = BYTES_EACH / sum(weights)
    items = [folder(b"usr"), *(folder(name.encode()) for name in folders)]
    for number, weight in enumerate(weights):
        name = f"{chance.choice(folders)}/file{number}.py"
        content = _content(chance, text, noise, int(weight * scale))
        items.append(Item(name.encode(), mtime_s=1_700_000_000 + number, content=content))
    buffer = io.BytesIO()
    pack(items, buffer, compress=False)
    return buffer.getvalue()


def _text(chance: random.Random) -> bytes:
    letters = b"abcdefghijklmnopqrstuvwxyz"
    words = [bytes(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(3000)]
    return b" ".join(chance.choices(words, k=900_000))


def _content(chance: random.Random, text: bytes, noise: bytes, size: int) -> bytes:
    pieces = []
    while size > 0:
        length = min(size, 32_768)
        source = noise if chance.random() < RANDOM_SHARE else text
        start = chance.randrange(len(source) - length)
        pieces.append(source[start : start + length])
        size -= length
    return b"".join(pieces)


def _gzip(data: bytes) -> Blob:
    """As registries have it: zlib's usual level."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    return Blob(f"{OCI_LAYER}+gzip", compressor.compress(data) + compressor.flush())
