"""Everything a pull can meet: one clear line, a typed error, and the store as it was."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from pydock_engine import errors
from pydock_engine.image import documents
from pydock_engine.image.collection import Images
from pydock_engine.oci import media_types
from pydock_engine.oci.image import Index
from pydock_engine.paths import Paths
from pydock_engine.store import digest as digests
from pydock_engine.store.database import Database
from pydock_engine.testing.jobs import InProcessJobs
from pydock_engine.testing.random_image import MadeImage, image_of, index_of, random_image
from pydock_engine.testing.registry import Fault, TestRegistry

LEVEL = "root" if os.geteuid() == 0 else "rootless-single"
State = Callable[[], dict[str, bytes]]


@pytest.fixture
def made() -> MadeImage:
    return random_image(7, layers=2, file_bytes=60_000)


@pytest.fixture
def reference(fake: TestRegistry, made: MadeImage) -> str:
    return fake.add(made, "team/image:1")


@pytest.fixture
def refused(images: Images, state: State) -> Callable[..., errors.PydockError]:
    """Pulls, expects an error of one class, and that store and index are as they were."""
    neighbour = random_image(99, layers=1)
    with TestRegistry() as other:
        images.pull(other.add(neighbour, "team/neighbour:1"))
    before = (images.list(), state())

    def pull(reference: str, kind: type[errors.PydockError], **options: str) -> errors.PydockError:
        with pytest.raises(kind) as caught:
            images.pull(reference, **options)  # type: ignore[arg-type]
        assert type(caught.value) is kind
        assert "\n" not in caught.value.message
        assert (images.list(), state()) == before
        return caught.value

    return pull


def replace(fake: TestRegistry, made: MadeImage, **changes: object) -> str:
    """The image again with fields of its manifest changed."""
    document = {**json.loads(made.manifest), **changes}
    return fake.add_manifest("team/image", json.dumps(document).encode(), made.media_type, "1")


# -- the registry says no, or nothing ------------------------------------------------------------


def test_an_unknown_image(fake: TestRegistry, refused: Callable[..., errors.PydockError]) -> None:
    error = refused(f"{fake.host}/team/none:1", errors.ImageNotFound)
    assert "team/none:1" in error.message
    assert error.way_out


def test_a_malformed_reference(refused: Callable[..., errors.PydockError]) -> None:
    assert "did you mean `image`" in refused("Image", errors.InvalidReference).way_out


def test_a_folder(tmp_path: Path, refused: Callable[..., errors.PydockError]) -> None:
    assert "is a folder" in refused(str(tmp_path), errors.InvalidReference).message


def test_a_registry_that_is_down(refused: Callable[..., errors.PydockError]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    error = refused(f"{host}/team/image:1", errors.RegistryUnreachable)
    assert error.message == f"no connection to {host}: Connection refused"
    assert "is running" in error.way_out


def test_a_machine_nobody_knows(refused: Callable[..., errors.PydockError]) -> None:
    error = refused("registry.invalid/team/image:1", errors.RegistryUnreachable)
    assert "no machine is called registry.invalid" in error.message


def test_a_registry_that_stays_broken(
    fake: TestRegistry, reference: str, refused: Callable[..., errors.PydockError]
) -> None:
    fake.faults.append(Fault("/manifests/", "status", status=503))
    error = refused(reference, errors.RegistryError)
    assert "503" in error.message
    assert "told to fail" in error.message
    assert error.facts["temporary"]
    assert len([p for p in fake.paths() if "/manifests/" in p]) == 3


def test_a_login_portal_in_between(
    fake: TestRegistry, reference: str, refused: Callable[..., errors.PydockError]
) -> None:
    fake.faults.append(Fault("/manifests/", "html"))
    error = refused(reference, errors.RegistryError)
    assert "an HTML page" in error.message
    assert "login portal" in error.way_out


def test_html_in_place_of_a_blob(
    fake: TestRegistry, reference: str, refused: Callable[..., errors.PydockError]
) -> None:
    fake.faults.append(Fault("/blobs/", "html"))
    refused(reference, errors.IntegrityError)


def test_a_blob_the_registry_lost(
    fake: TestRegistry,
    made: MadeImage,
    reference: str,
    refused: Callable[..., errors.PydockError],
) -> None:
    del fake.blobs[digests.of(made.layers[1])]
    error = refused(reference, errors.RegistryError)
    assert digests.of(made.layers[1]) in error.message
    assert "push it again" in error.way_out


# -- bytes that are not what they should be ------------------------------------------------------


def test_every_blob_corrupted_in_turn(
    fake: TestRegistry,
    made: MadeImage,
    reference: str,
    refused: Callable[..., errors.PydockError],
) -> None:
    for data in made.blobs:
        fake.faults[:] = [Fault(digests.of(data), "corrupt")]
        error = refused(reference, errors.IntegrityError)
        assert digests.of(data) in error.message


def test_every_blob_truncated_in_turn(
    fake: TestRegistry,
    made: MadeImage,
    reference: str,
    refused: Callable[..., errors.PydockError],
) -> None:
    for data in made.blobs:
        fake.blobs[digests.of(data)] = data[:-1]
        error = refused(reference, errors.IntegrityError)
        assert f"after {len(data) - 1} of {len(data)} bytes" in error.message
        fake.blobs[digests.of(data)] = data


def test_a_blob_that_never_ends(
    fake: TestRegistry,
    made: MadeImage,
    reference: str,
    refused: Callable[..., errors.PydockError],
) -> None:
    fake.blobs[digests.of(made.layers[0])] += bytes(5_000_000)
    assert "is longer than" in refused(reference, errors.IntegrityError).message


def test_a_manifest_that_is_not_its_digest(
    fake: TestRegistry,
    made: MadeImage,
    reference: str,
    refused: Callable[..., errors.PydockError],
) -> None:
    fake.digest_header = lambda digest: "sha256:" + "0" * 64
    refused(reference, errors.IntegrityError)
    fake.digest_header = lambda digest: "nonsense"
    by_digest = f"{fake.host}/team/image@{made.digest}"
    fake.manifests["team/image", made.digest] = (made.manifest + b" ", made.media_type)
    refused(by_digest, errors.IntegrityError)


def test_a_layer_that_is_not_its_diff_id(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    config = json.loads(made.config)
    config["rootfs"]["diff_ids"][1] = "sha256:" + "12" * 32
    data = json.dumps(config).encode()
    fake.add(made, "team/image:1")
    fake.add_blob(data)
    described = {**json.loads(made.manifest)["config"], "digest": digests.of(data)}
    lying = replace(fake, made, config={**described, "size": len(data)})
    refused(lying, errors.IntegrityError)


def test_a_layer_that_is_no_tar(
    fake: TestRegistry, refused: Callable[..., errors.PydockError]
) -> None:
    refused(fake.add(image_of((b"no tar at all" * 200,)), "team/image:1"), errors.LayerError)


# -- documents that lie --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b'{"schemaVersion": 2}',
        b'{"schemaVersion": 2, "mediaType": 7}',
        b"[" * 100_000,
        b"\xff\xfe{}",
    ],
    ids=["empty", "list", "null", "bare", "type", "deep", "utf"],
)
def test_a_manifest_that_is_malformed(
    fake: TestRegistry, text: bytes, refused: Callable[..., errors.PydockError]
) -> None:
    reference = fake.add_manifest("team/image", text, media_types.OCI_MANIFEST, "1")
    refused(reference, errors.RegistryError)


def test_a_manifest_too_large_to_be_one(
    fake: TestRegistry, refused: Callable[..., errors.PydockError]
) -> None:
    data = b'{"schemaVersion":2,"x":"' + bytes(5 << 20).replace(b"\0", b"x") + b'"}'
    reference = fake.add_manifest("team/image", data, media_types.OCI_MANIFEST, "1")
    assert "longer than 4194304 bytes" in refused(reference, errors.RegistryError).message


@pytest.mark.parametrize("size", [-1, 1 << 60])
def test_a_layer_of_an_impossible_size(
    fake: TestRegistry, made: MadeImage, size: int, refused: Callable[..., errors.PydockError]
) -> None:
    layers = [{**layer, "size": size} for layer in json.loads(made.manifest)["layers"]]
    error = refused(replace(fake, made, layers=layers), errors.IntegrityError)
    assert f"impossible size {size}" in error.message


@pytest.mark.parametrize("digest", ["", "sha256:../../etc", "md5:00", "sha256:" + "A" * 64])
def test_a_layer_without_a_proper_digest(
    fake: TestRegistry, made: MadeImage, digest: str, refused: Callable[..., errors.PydockError]
) -> None:
    layers = [{**layer, "digest": digest} for layer in json.loads(made.manifest)["layers"]]
    refused(replace(fake, made, layers=layers), errors.IntegrityError)


def test_more_layers_than_diff_ids(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    fake.add(made, "team/image:1")
    layers = json.loads(made.manifest)["layers"][:1]
    error = refused(replace(fake, made, layers=layers), errors.IntegrityError)
    assert "1 layers and 2 diff_ids" in error.message


def test_more_layers_than_overlayfs_takes(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    layers = json.loads(made.manifest)["layers"][:1] * (documents.MAX_LAYERS + 1)
    refused(replace(fake, made, layers=layers), errors.Unsupported)


def test_a_chart_is_no_image(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    helm = "application/vnd.cncf.helm.config.v1+json"
    config = {**json.loads(made.manifest)["config"], "mediaType": helm}
    error = refused(replace(fake, made, config=config), errors.Unsupported)
    assert helm in error.message


def test_a_layer_type_nobody_knows(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    layers = [
        {**layer, "mediaType": "application/x-7z"} for layer in json.loads(made.manifest)["layers"]
    ]
    error = refused(replace(fake, made, layers=layers), errors.Unsupported)
    assert "application/x-7z" in error.message


def test_schema_1_is_refused_by_name(
    fake: TestRegistry, refused: Callable[..., errors.PydockError]
) -> None:
    data = b'{"schemaVersion": 1, "name": "old", "tag": "1", "fsLayers": [], "history": []}'
    fake.digest_header = lambda digest: "sha256:" + "0" * 64  # of the unsigned part
    for media_type in (media_types.DOCKER_SCHEMA1_SIGNED, "application/json"):
        reference = fake.add_manifest("team/old", data, media_type, "1")
        error = refused(reference, errors.Unsupported)
        assert "schema 1" in error.message
        assert "push the image again" in error.way_out


def test_a_content_type_that_contradicts_the_manifest(
    fake: TestRegistry, reference: str, refused: Callable[..., errors.PydockError]
) -> None:
    fault = Fault("/manifests/", "content_type", content_type=media_types.DOCKER_MANIFEST)
    fake.faults.append(fault)
    assert "calls itself" in refused(reference, errors.RegistryError).message


def test_a_manifest_of_an_unknown_type(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    reference = replace(fake, made, mediaType="application/x-new+json")
    assert "application/x-new+json" in refused(reference, errors.RegistryError).message


def test_another_platform(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    from pydock_engine.image.platform import parse_platform

    other = random_image(platform=parse_platform("linux/riscv64"))
    third = random_image(platform=parse_platform("windows/amd64"))
    data, media_type = index_of(other, third)
    reference = fake.add_manifest("team/image", data, media_type, "1")
    error = refused(reference, errors.PlatformMismatch)
    assert "only for linux/riscv64, windows/amd64" in error.message


def test_an_index_that_leads_to_itself(
    fake: TestRegistry, refused: Callable[..., errors.PydockError]
) -> None:
    """A digest cannot be known before its bytes: the loop shows as bytes of another digest."""
    data, media_type = nest(b"{}", media_types.OCI_INDEX)
    reference = fake.add_manifest("team/image", data, media_type, "1")
    inner = msgspec.json.decode(data, type=Index).manifests[0].digest
    fake.manifests["team/image", inner] = (data, media_type)
    refused(reference, errors.IntegrityError)


def test_an_index_without_a_bottom(
    fake: TestRegistry, made: MadeImage, refused: Callable[..., errors.PydockError]
) -> None:
    fake.add(made, "team/image:0")
    data, media_type = made.manifest, made.media_type
    for _ in range(5):
        data, media_type = nest(data, media_type)
        reference = fake.add_manifest("team/image", data, media_type, "1")
        fake.add_manifest("team/image", data, media_type)
    assert "further indexes" in refused(reference, errors.RegistryError).message


def nest(data: bytes, media_type: str) -> tuple[bytes, str]:
    entry = {"mediaType": media_type, "digest": digests.of(data), "size": len(data)}
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
    return json.dumps(index).encode(), media_types.OCI_INDEX


# -- this machine gets in the way ----------------------------------------------------------------


@pytest.fixture
def small_disk(short_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, with its root folder for a store."""
    disk = short_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.root
@pytest.mark.parametrize(
    ("file_bytes", "fetches"),
    [(600_000, True), (900_000, True), (3_000_000, False)],
    ids=["unpacking", "fetching", "at once"],
)
def test_a_full_disk(
    fake: TestRegistry, small_disk: Path, short_path: Path, file_bytes: int, fetches: bool
) -> None:
    """The layer does not fit unpacked, its blob does not fit, or cannot: all end alike."""
    database = Database(small_disk / "root" / "pydock.db")
    paths = Paths(small_disk / "root", short_path / "run")
    images = Images(paths, database, InProcessJobs())
    try:
        assert images.list() == []
        large = fake.add(random_image(layers=1, files=1, file_bytes=file_bytes), "team/large:1")
        with pytest.raises(errors.DiskFull) as caught:
            images.pull(large)
        assert "PYDOCK_ROOT" in caught.value.way_out
        assert sum("/blobs/" in path for path in fake.paths()) == 1 + fetches  # config, layer
        assert images.list() == []
        assert list((paths.blobs / "sha256").iterdir()) == []
        assert list(paths.ingest.iterdir()) == list(paths.layers_ingest.iterdir()) == []
        small = fake.add(random_image(layers=1, files=1, file_bytes=1000), "team/small:1")
        assert images.pull(small).layers == 1
    finally:
        database.close()


def test_an_interrupt_ends_a_slow_transfer_at_once_and_leaves_no_layer(
    images: Images, paths: Paths, fake: TestRegistry, made: MadeImage, reference: str
) -> None:
    slow = Fault(digests.of(made.layers[1]), "wait", keep=10_000)
    fake.faults.append(slow)

    def interrupt(event: object) -> None:
        if getattr(event, "phase", "") == "done":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.pull(reference, on_progress=interrupt)
    assert not slow.gate.is_set()  # nobody waited for the rest
    slow.gate.set()
    assert images.list() == []
    assert list(paths.ingest.iterdir()) == list(paths.layers_ingest.iterdir()) == []
    fake.faults.clear()
    fake.requests.clear()
    images.pull(reference)
    assert not any(digests.of(made.layers[0]) in path for path in fake.paths())


PULL = """
import sys
from pathlib import Path
from pydock_engine.image.collection import Images
from pydock_engine.paths import Paths
from pydock_engine.store.database import Database
from pydock_engine.testing.jobs import InProcessJobs

paths = Paths(Path(sys.argv[1]), Path(sys.argv[2]))
images = Images(paths, Database(paths.database), InProcessJobs(sys.argv[4]))
images.pull(sys.argv[3], on_progress=lambda event: print(event.phase, flush=True))
"""


def test_a_killed_pull_is_swept_away_by_the_next(
    images: Images, paths: Paths, fake: TestRegistry, made: MadeImage, reference: str
) -> None:
    slow = Fault(digests.of(made.layers[1]), "wait", keep=10_000)
    fake.faults.append(slow)
    arguments = [str(paths.root), str(paths.run), reference, LEVEL]
    command = [sys.executable, "-c", PULL, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "done\n" in child.stdout  # reads up to the line that tells of the first layer
        child.kill()
    fake.faults.clear()
    slow.gate.set()
    assert images.list() == []
    assert len(list(paths.ingest.iterdir())) == 1
    images.pull(reference)
    assert list(paths.ingest.iterdir()) == list(paths.layers_ingest.iterdir()) == []


def test_two_pulls_of_one_image_at_once(
    images: Images, paths: Paths, reference: str, jobs: InProcessJobs
) -> None:
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(images.pull(reference))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(images.get(reference).chain_ids) == 2
