"""Pulling for real: Debian's docker-registry and the one in this process, all formats."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.image.collection import Images
from pydock_engine.image.platform import host_platform, parse_platform
from pydock_engine.image.records import PullProgress
from pydock_engine.paths import Paths
from pydock_engine.protocol.messages import CommitLayer, UnpackLayer
from pydock_engine.registry.credentials import Credentials
from pydock_engine.store import digest
from pydock_engine.testing.jobs import InProcessJobs
from pydock_engine.testing.random_image import image_of, index_of, random_image
from pydock_engine.testing.registry import Fault, TestRegistry

from tests.support.images import entry, make_image, make_index, tar, write_layout
from tests.support.registry import PASSWORD, USER, Registry, serve_registry

OTHER = parse_platform("linux/s390x")


def layer_file(paths: Paths, chain_id: str, name: str) -> bytes:
    return (paths.layer(chain_id) / "diff" / name).read_bytes()


@pytest.mark.network
@pytest.mark.parametrize("docker", [False, True], ids=["oci", "schema2"])
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_every_format_is_pulled_from_a_real_registry(
    images: Images, paths: Paths, registry: Registry, compression: str, docker: bool
) -> None:
    made = make_image(
        [tar([entry("one", data=b"1")]), tar([entry("two", data=b"22")])],
        compression=compression,
        docker=docker,
    )
    reference = registry.push(made, f"team/{compression}{docker}".lower() + ":1")
    summary = images.pull(reference)
    assert summary.reference == reference
    assert summary.id == made.config.digest
    assert summary.digest == made.manifest.digest
    assert (summary.layers, summary.size_bytes) == (2, 3)
    stored = images.get(reference)
    assert layer_file(paths, stored.chain_ids[0], "one") == b"1"
    assert layer_file(paths, stored.chain_ids[1], "two") == b"22"
    assert [layer.digest for layer in stored.layers] == [blob.digest for blob in made.layers]


@pytest.mark.network
def test_an_index_leads_to_this_machines_variant(images: Images, registry: Registry) -> None:
    mine = make_image([tar([entry("mine")])])
    other = make_image([tar([entry("other")])], architecture="s390x")
    index = make_index(other, mine)
    reference = registry.push(index, "team/index:1")
    assert images.pull(reference).digest == mine.manifest.digest
    told = images.inspect(reference)["RepoDigests"]
    assert told == [f"{reference.rpartition(':')[0]}@{index.manifest.digest}"]
    chosen = images.pull(reference, platform="linux/s390x")
    assert (chosen.digest, chosen.platform) == (other.manifest.digest, "linux/s390x")


@pytest.mark.network
@pytest.mark.needs("skopeo")
def test_skopeo_and_umoci_read_the_store_as_it_lies(
    images: Images, paths: Paths, registry: Registry, tmp_path: Path
) -> None:
    one = registry.push(make_image([tar([entry("a", data=b"a")])]), "team/a:1")
    images.pull(one)
    layout = f"oci:{paths.root}:{one}"
    seen = subprocess.run(["skopeo", "inspect", layout], capture_output=True, check=True)
    assert json.loads(seen.stdout)["Digest"] == images.get(one).digest
    copy = ["skopeo", "copy", "--quiet", "--insecure-policy", layout, f"dir:{tmp_path}/copy"]
    subprocess.run(copy, check=True, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert (tmp_path / "copy" / "manifest.json").exists()


@pytest.mark.network
@pytest.mark.needs("skopeo")
def test_an_image_pushed_by_skopeo_is_pulled(
    images: Images, registry: Registry, tmp_path: Path
) -> None:
    made = make_image([tar([entry("a", data=b"a")])], compression="zstd")
    write_layout(made, tmp_path / "layout")
    reference = f"{registry.host}/team/skopeo:1"
    command = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"]
    target = [f"oci:{tmp_path}/layout:latest", f"docker://{reference}"]
    subprocess.run([*command, *target], check=True)
    assert images.pull(reference).id == made.config.digest


@pytest.mark.network
def test_a_login_is_taken_from_the_caller_or_from_dockers_file(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_registry(tmp_path, htpasswd=True) as registry:
        reference = registry.push(make_image([tar([entry("a")])]), "team/private:1")
        with pytest.raises(errors.Unauthorized, match="asks for a login") as caught:
            images.pull(reference)
        assert "docker login" in caught.value.way_out
        with pytest.raises(errors.Unauthorized, match="does not accept"):
            images.pull(reference, credentials=Credentials(USER, "wrong"))
        assert images.list() == []
        assert images.pull(reference, credentials=Credentials(USER, PASSWORD)).layers == 1
        (tmp_path / "docker").mkdir()
        login = {"auths": {registry.host: {"username": USER, "password": PASSWORD}}}
        (tmp_path / "docker" / "config.json").write_text(json.dumps(login))
        images.remove(reference)
        assert images.pull(reference).layers == 1


@pytest.mark.network
def test_https_needs_a_trusted_certificate_even_on_loopback(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_registry(tmp_path, tls=True) as registry:
        reference = registry.push(make_image([tar([entry("a")])]), "team/tls:1")
        with pytest.raises(errors.RegistryUnreachable, match="certificate") as caught:
            images.pull(reference)
        assert f"/etc/docker/certs.d/{registry.host}" in caught.value.way_out
        assert images.list() == []
        monkeypatch.setenv("SSL_CERT_FILE", str(registry.certificate))
        assert images.pull(reference).layers == 1


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_challenges_are_answered(images: Images, auth: str) -> None:
    with TestRegistry(auth=auth) as registry:
        reference = registry.add(random_image(), "team/image:1")
        with pytest.raises(errors.Unauthorized, match="does not accept"):
            images.pull(reference, credentials=Credentials("tester", "wrong"))
        images.pull(reference, credentials=Credentials("tester", "secret"))
        if auth == "bearer":
            token = next(path for path in registry.paths() if path.startswith("/token"))
            assert "scope=repository%3Ateam%2Fimage%3Apull" in token
            assert "service=tests" in token


def test_a_token_is_fetched_without_a_login_for_public_images(images: Images) -> None:
    with TestRegistry(auth="bearer") as registry:
        reference = registry.add(random_image(), "public/image:1")
        images.pull(reference)
        assert sum(path.startswith("/token") for path in registry.paths()) == 1


def test_a_layer_already_here_is_neither_fetched_nor_unpacked_again(
    images: Images, fake: TestRegistry, jobs: InProcessJobs
) -> None:
    base = random_image(1, layers=2)
    more = image_of((*base.tars, random_image(2, layers=1).tars[0]))
    images.pull(fake.add(base, "team/base:1"))
    fake.requests.clear()
    jobs.requests.clear()
    phases: dict[str, list[str]] = {}
    images.pull(
        fake.add(more, "team/more:1"),
        on_progress=lambda event: phases.setdefault(event.digest, []).append(event.phase),
    )
    fetched = [path for path in fake.paths() if "/blobs/" in path]
    assert len(fetched) == 2  # the config and the one new layer
    assert sum(isinstance(request, UnpackLayer) for request in jobs.requests) == 1
    ends = [phases[layer.digest][-1] for layer in images.get(f"{fake.host}/team/more:1").layers]
    assert ends == ["exists", "exists", "done"]
    shared = images.layers(f"{fake.host}/team/more:1")
    assert [layer.shared_with for layer in shared] == [
        (f"{fake.host}/team/base:1",),
        (f"{fake.host}/team/base:1",),
        (),
    ]


def test_a_second_pull_asks_with_head_alone(
    images: Images, fake: TestRegistry, jobs: InProcessJobs
) -> None:
    reference = fake.add(random_image(), "team/image:1")
    images.pull(reference)
    fake.requests.clear()
    jobs.requests.clear()
    images.pull(reference)
    assert fake.paths("HEAD") == ["/v2/team/image/manifests/1"]
    assert [path for path in fake.paths() if path != "/v2/"] == []
    assert jobs.requests == []


def test_a_digest_that_is_here_needs_no_registry(images: Images, fake: TestRegistry) -> None:
    made = random_image()
    fake.add(made, "team/image:1")
    reference = f"{fake.host}/team/image@{made.digest}"
    summary = images.pull(f"{fake.host}/team/image:1@{made.digest}")
    assert summary.reference == reference
    fake.requests.clear()
    images.pull(reference)
    assert fake.requests == []


def test_a_tag_that_moved_on_leaves_the_old_image_without_a_name(
    images: Images, fake: TestRegistry
) -> None:
    reference = fake.add(random_image(1), "team/image:1")
    old = images.pull(reference)
    fake.add(random_image(2), "team/image:1")
    new = images.pull(reference)
    assert new.id != old.id
    listed = images.list()
    assert [(s.reference, s.id) for s in listed] == [
        (reference, new.id),
        (old.id.removeprefix("sha256:")[:12], old.id),
    ]
    assert (listed[1].repository, listed[1].tag) == ("<none>", "<none>")
    images.remove(old.id)
    assert [s.id for s in images.list()] == [new.id]


def test_progress_is_told_in_order_and_in_the_callers_thread(
    images: Images, fake: TestRegistry
) -> None:
    made = random_image(layers=3, file_bytes=200_000)
    events: list[PullProgress] = []
    threads = set()

    def tell(event: PullProgress) -> None:
        threads.add(threading.current_thread())
        events.append(event)

    images.pull(fake.add(made, "team/image:1"), on_progress=tell)
    assert threads == {threading.current_thread()}
    order = ["waiting", "downloading", "verifying", "unpacking", "done"]
    for layer in images.layers(f"{fake.host}/team/image:1"):
        mine = [event for event in events if event.digest == layer.digest]
        phases = [order.index(event.phase) for event in mine]
        assert phases == sorted(phases)
        assert mine[0].phase == "waiting"
        assert (mine[-1].phase, mine[-1].current) == ("done", layer.compressed_bytes)


def test_layers_are_put_in_place_bottom_up_with_their_parents_nearest_first(
    images: Images, fake: TestRegistry, jobs: InProcessJobs, paths: Paths
) -> None:
    images.pull(fake.add(random_image(layers=3), "team/image:1"))
    places = [str(paths.layer(c)) for c in images.get(f"{fake.host}/team/image:1").chain_ids]
    commits = [request for request in jobs.requests if isinstance(request, CommitLayer)]
    assert [request.destination for request in commits] == places
    assert commits[2].parents == (places[1], places[0])


def test_a_blob_listed_twice_is_fetched_once(
    images: Images, fake: TestRegistry, paths: Paths
) -> None:
    layer = random_image(layers=1).tars[0]
    reference = fake.add(image_of((layer, layer, layer)), "team/image:1")
    assert images.pull(reference).layers == 3
    assert sum("/blobs/" in path for path in fake.paths()) == 2
    assert len(set(images.get(reference).chain_ids)) == 3


def test_an_image_without_layers_and_an_empty_index_entry_list(
    images: Images, fake: TestRegistry
) -> None:
    assert images.pull(fake.add(image_of(()), "team/empty:1")).layers == 0
    data, media_type = index_of()
    with pytest.raises(errors.PlatformMismatch, match="no platform at all"):
        images.pull(fake.add_manifest("team/none", data, media_type, "1"))


def test_a_broken_transfer_continues_where_it_stopped(images: Images, fake: TestRegistry) -> None:
    made = random_image(layers=1, file_bytes=3_000_000)
    reference = fake.add(made, "team/image:1")
    layer = digest.of(made.layers[0])
    fake.faults.append(Fault(layer, "truncate", times=5, keep=500_000))
    images.pull(reference)
    ranges = [r.headers.get("Range") for r in fake.requests if layer in r.path]
    assert ranges == [None, *(f"bytes={500_000 * n}-" for n in range(1, 6))]


def test_a_temporary_refusal_is_tried_again(images: Images, fake: TestRegistry) -> None:
    reference = fake.add(random_image(), "team/image:1")
    fake.faults.append(Fault("/manifests/", "status", times=1, status=503))
    fake.faults.append(Fault("/blobs/", "drop", times=1))
    assert images.pull(reference).layers == 2


def test_a_damaged_blob_on_disk_is_fetched_again_when_it_is_needed(
    images: Images, fake: TestRegistry, paths: Paths
) -> None:
    made = random_image()
    reference = fake.add(made, "team/image:1")
    images.pull(reference)
    for blob in (*made.blobs, made.manifest):
        path = paths.blob(digest.of(blob))
        path.chmod(0o600)
        path.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
    with pytest.raises(errors.IntegrityError, match="does not match its digest") as caught:
        images.get(reference)
    assert "pull the image again" in caught.value.way_out
    for unpacked in (paths.layers / "sha256").iterdir():
        shutil.rmtree(unpacked)
    images.pull(reference)
    assert images.get(reference).digest == made.digest


def test_the_platform_of_a_single_manifest_counts_too(images: Images, fake: TestRegistry) -> None:
    reference = fake.add(random_image(platform=OTHER), "team/other:1")
    with pytest.raises(errors.PlatformMismatch, match="only for linux/s390x"):
        images.pull(reference)
    assert images.list() == []
    assert images.pull(reference, platform="linux/s390x").platform == "linux/s390x"
    mine = fake.add(random_image(), "team/mine:1")
    with pytest.raises(errors.PlatformMismatch, match=f"only for {host_platform()}"):
        images.pull(mine, platform="linux/s390x")
