"""What is told of images that are here, under every name they can be called by, and removal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from pydock_engine import errors
from pydock_engine.image.collection import Images
from pydock_engine.paths import Paths
from pydock_engine.protocol.messages import RemoveTrees
from pydock_engine.registry.transport import Transport
from pydock_engine.store import digest
from pydock_engine.store.database import Database
from pydock_engine.testing.jobs import InProcessJobs
from pydock_engine.testing.random_image import MadeImage, image_of, random_image
from pydock_engine.testing.registry import Fault, TestRegistry

from tests.support.images import busybox_image

State = Callable[[], dict[str, bytes]]


@pytest.fixture
def pulled(images: Images, fake: TestRegistry) -> str:
    return images.pull(fake.add(random_image(3), "team/image:1")).reference


def add_busybox(images: Images, fake: TestRegistry) -> str:
    made = busybox_image()
    for blob in (made.config, *made.layers):
        fake.add_blob(blob.data)
    reference = fake.add_manifest("team/box", made.manifest.data, made.manifest.media_type, "1")
    return images.pull(reference).reference


def use(paths: Paths, image_id: str, name: str) -> Database:
    database = Database(paths.database)
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO containers VALUES (?, ?, ?, '', -1, x'')", (name, name, image_id)
        )
    return database


def test_making_a_collection_touches_no_disk(images: Images, paths: Paths) -> None:
    assert not paths.root.exists()
    assert images.list() == []
    assert (paths.root / "index.json").exists()


def test_an_image_is_found_by_all_its_names(images: Images, pulled: str) -> None:
    stored = images.get(pulled)
    digits = stored.id.removeprefix("sha256:")
    repository = pulled.rpartition(":")[0]
    for name in (digits, digits[:12], digits[:4], stored.id, stored.digest, f"sha256:{digits[:9]}"):
        assert images.get(name).digest == stored.digest
        assert images.get(name).reference == pulled
    assert images.get(f"{repository}@{stored.digest}").id == stored.id
    assert images.get(f"{pulled}@{stored.digest}").id == stored.id


def test_what_is_not_here_is_said_with_the_way_to_get_it(images: Images, pulled: str) -> None:
    for name in ("busybox", "cafe", "0" * 12, "sha256:" + "0" * 64, pulled + "x"):
        with pytest.raises(errors.ImageNotFound, match="no image") as caught:
            images.get(name)
        assert f"%image pull {name}" in caught.value.way_out


def test_a_name_that_is_a_folder_here_is_told_so(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.ImageNotFound) as caught:
        images.get("data")
    assert "data is a folder" in caught.value.way_out


def test_the_beginning_of_two_ids_is_ambiguous(images: Images, fake: TestRegistry) -> None:
    one = images.pull(fake.add(random_image(1, layers=1), "team/one:1"))
    two = images.pull(fake.add(random_image(2, layers=1), "team/two:1"))
    give_ids_that_begin_alike(images, one.id, two.id)
    with pytest.raises(errors.UsageError, match="several") as e:
        images.get("abcd")
    assert "abcd1" in e.value.message
    assert "abcd2" in e.value.message


def give_ids_that_begin_alike(images: Images, one: str, two: str) -> None:
    with images._database.transaction() as connection:
        for old, digit in ((one, "1"), (two, "2")):
            new = f"sha256:abcd{digit}" + "0" * 59
            connection.execute(
                "UPDATE manifests SET config_digest = ? WHERE config_digest = ?", (new, old)
            )


def test_history_tells_of_empty_layers_and_sizes(images: Images, fake: TestRegistry) -> None:
    reference = add_busybox(images, fake)
    made = busybox_image()
    entries = images.history(reference)
    assert [(e.created_by, e.empty_layer, e.diff_id, e.comment) for e in entries] == [
        ("ADD busybox / # applets", False, made.diff_ids[0], "base"),
        ('CMD ["sh"]', True, None, ""),
        ("COPY hello /opt/hello", False, made.diff_ids[1], ""),
    ]
    assert [e.digest for e in entries] == [made.layers[0].digest, None, made.layers[1].digest]
    assert entries[1].size_bytes is None
    assert entries[2].size_bytes == sum(len(d) for d in SECOND_LAYER)


SECOND_LAYER = (b"busybox of the tests\n", b"#!/bin/sh\necho hello from the second layer\n")


def test_layers_tell_where_they_come_from(images: Images, fake: TestRegistry) -> None:
    layers = images.layers(add_busybox(images, fake))
    assert [layer.index for layer in layers] == [0, 1]
    assert [layer.created_by for layer in layers] == [
        "ADD busybox / # applets",
        "COPY hello /opt/hello",
    ]
    assert layers[0].chain_id == layers[0].diff_id
    assert layers[1].files == 5
    assert layers[1].compressed_bytes == len(busybox_image().layers[1].data)


def test_history_copes_with_an_image_that_has_none_or_too_little(
    images: Images, fake: TestRegistry
) -> None:
    made = random_image(5, layers=2)
    config = json.loads(made.config)
    for number, history in enumerate((None, config["history"][:1])):
        document = {**config, "history": history}
        other = with_config(made, document)
        reference = images.pull(fake.add(other, f"team/h:{number}")).reference
        entries = images.history(reference)
        assert [e.diff_id for e in entries] == config["rootfs"]["diff_ids"]
        assert [layer.created_by for layer in images.layers(reference)][1] == ""


def with_config(made: MadeImage, config: dict[str, object]) -> MadeImage:
    data = msgspec.json.encode(config)
    manifest = json.loads(made.manifest)
    manifest["config"] |= {"digest": digest.of(data), "size": len(data)}
    return dataclasses.replace(made, manifest=msgspec.json.encode(manifest), config=data)


def test_inspect_speaks_dockers_names(images: Images, fake: TestRegistry) -> None:
    reference = add_busybox(images, fake)
    told = images.inspect(reference)
    made = busybox_image()
    assert told["Id"] == made.config.digest
    assert told["RepoTags"] == [reference]
    assert told["RepoDigests"] == [f"{fake.host}/team/box@{made.manifest.digest}"]
    assert told["RootFS"] == {"Type": "layers", "Layers": made.diff_ids}
    assert told["Config"]["Cmd"] == ["sh"]
    assert told["Config"]["Env"][1] == "MADE_BY=tests"
    assert told["Config"]["Entrypoint"] is None
    assert (told["Os"], told["Size"]) == ("linux", images.list()[0].size_bytes)
    assert "GraphDriver" not in told
    json.dumps(told)


def test_the_last_name_takes_the_image_along_and_leaves_nothing(
    images: Images, fake: TestRegistry, state: State
) -> None:
    images.list()
    empty = state()
    made = random_image(3)
    one = images.pull(fake.add(made, "team/image:1"))
    two = images.pull(fake.add(made, "team/image:2"))
    first = images.remove(one.reference)
    assert (first.untagged, first.deleted) == ((one.reference,), ())
    assert images.get(two.reference).id == two.id
    last = images.remove(two.reference)
    assert (last.untagged, last.deleted) == ((two.reference,), (two.id,))
    assert last.freed_bytes == len(made.manifest) + sum(map(len, made.blobs))
    assert images.list() == []
    after = state()
    assert after.keys() == empty.keys()


def test_what_another_image_needs_stays(images: Images, fake: TestRegistry, paths: Paths) -> None:
    base = random_image(1, layers=2)
    more = image_of((*base.tars, random_image(2, layers=1).tars[0]))
    kept = images.pull(fake.add(base, "team/base:1")).reference
    gone = images.pull(fake.add(more, "team/more:1")).reference
    top = images.get(gone).chain_ids[-1]
    images.remove(gone)
    assert not paths.layer(top).exists()
    assert images.layers(kept)[1].shared_with == ()
    for chain_id in images.get(kept).chain_ids:
        assert (paths.layer(chain_id) / "diff").is_dir()
    blobs = {path.name for path in (paths.blobs / "sha256").iterdir()}
    assert len(blobs) == 4  # manifest, config, two layers


def test_by_id_all_names_go(images: Images, fake: TestRegistry) -> None:
    made = random_image(3)
    one = images.pull(fake.add(made, "team/image:1"))
    images.pull(fake.add(made, "team/other:2"))
    removal = images.remove(one.id)
    assert len(removal.untagged) == 2
    assert images.list() == []


def test_an_image_in_use_stays_and_the_container_is_named(
    images: Images, pulled: str, paths: Paths, state: State
) -> None:
    database = use(paths, images.get(pulled).id, "busy")
    before = state()
    with pytest.raises(errors.Conflict, match="used by the container busy") as caught:
        images.remove(pulled)
    assert "%container rm busy" in caught.value.way_out
    assert state() == before
    with database.transaction() as connection:
        connection.execute("DELETE FROM containers")
    database.close()
    images.remove(pulled)
    assert images.list() == []


def test_removing_what_is_not_here(images: Images) -> None:
    with pytest.raises(errors.ImageNotFound):
        images.remove("busybox")


def test_a_sweep_spares_what_a_pull_under_way_has_leased(
    images: Images, fake: TestRegistry, paths: Paths, jobs: InProcessJobs
) -> None:
    """Another image that shares the base is removed just before the pull puts its layers in."""
    base = random_image(1, layers=2)
    old = images.pull(fake.add(base, "team/base:1")).reference
    more = fake.add(image_of((*base.tars, random_image(2, layers=1).tars[0])), "team/more:1")
    removed = []

    def remove_old(event: object) -> None:
        if getattr(event, "phase", "") == "exists" and not removed:
            removed.append(images.remove(old))

    new = images.pull(more, on_progress=remove_old)
    assert removed[0].deleted
    assert all((paths.layer(c) / "diff").is_dir() for c in images.get(new.reference).chain_ids)
    assert images.inspect(new.reference)["RepoTags"] == [more]


def test_index_json_is_repaired_when_it_lags(
    images: Images, pulled: str, paths: Paths, jobs: InProcessJobs
) -> None:
    index = paths.root / "index.json"
    right = index.read_bytes()
    for broken in (b"", b"{}", right.replace(b'"1"', b'"0"')):
        index.write_bytes(broken)
        database = Database(paths.database)
        Images(paths, database, jobs).list()
        database.close()
        assert index.read_bytes() == right


def test_a_transport_may_be_given(images: Images, fake: TestRegistry) -> None:
    pauses: list[float] = []
    fake.faults.append(Fault("/manifests/", "status", times=2, status=429))
    reference = fake.add(random_image(), "team/image:1")
    images.pull(reference, transport=Transport(pause=pauses.append))
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]


def test_what_cannot_be_removed_yet_is_no_reason_to_fail(
    images: Images, fake: TestRegistry, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may outlive its client and write to a folder that is on its way out."""
    images.list()
    left = paths.layers_ingest / "0123456789abcdef.0"
    left.mkdir()
    real = InProcessJobs.run_job

    def refuse(self: InProcessJobs, request: object, **options: object) -> object:
        if isinstance(request, RemoveTrees):
            raise errors.SyscallError("remove: Directory not empty")
        return real(self, request, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(InProcessJobs, "run_job", refuse)
    assert images.pull(fake.add(random_image(1), "team/image:1")).layers == 2
    assert not left.exists()
    monkeypatch.undo()
    images.pull(fake.add(random_image(2), "team/image:2"))
    assert list(paths.layers_ingest.iterdir()) == []
