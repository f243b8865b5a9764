"""Images made of layers on this disk: the same checks and the same result as a pull."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.image.addition import LayerSource
from pydock_engine.image.collection import Images
from pydock_engine.paths import Paths
from pydock_engine.store import digest
from pydock_engine.testing.random_image import MadeImage, random_image


@pytest.fixture
def made() -> MadeImage:
    return random_image(4, layers=3, compression="none")


@pytest.fixture
def sources(made: MadeImage, tmp_path: Path) -> list[LayerSource]:
    found = []
    for number, layer in enumerate(made.tars):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(layer)
        found.append(LayerSource(path, digest.of(layer)))
    return found


def test_an_image_is_added_like_a_pulled_one(
    images: Images, paths: Paths, made: MadeImage, sources: list[LayerSource]
) -> None:
    events: list[str] = []
    stored = images.add_image(
        "local/made:1",
        made.config,
        sources,
        annotations={"a": "b"},
        on_progress=lambda e: events.append(e.phase),
    )
    assert stored.reference == "local/made:1"
    assert stored.id == digest.of(made.config)
    assert stored.manifest.annotations == {"a": "b"}
    assert events.count("done") == 3
    assert len(list((paths.layer(stored.chain_ids[2]) / "diff" / "data" / "2").iterdir())) == 3
    assert images.list()[0].layers == 3
    assert all(source.path.exists() for source in sources)


def test_adding_it_again_changes_nothing(
    images: Images, made: MadeImage, sources: list[LayerSource]
) -> None:
    one = images.add_image("local/made:1", made.config, sources)
    assert images.add_image("local/made:1", made.config, sources) == one
    assert len(images.list()) == 1


@pytest.mark.parametrize("lie", ["diff_id", "digest", "config", "content"])
def test_layers_that_are_not_what_they_are_called_are_refused(
    images: Images,
    made: MadeImage,
    sources: list[LayerSource],
    lie: str,
    state: Callable[[], dict[str, bytes]],
) -> None:
    images.list()
    before = state()
    other = digest.of(b"other")
    first = sources[0]
    match lie:
        case "diff_id":
            sources[0] = LayerSource(first.path, other)
        case "digest":
            sources[0] = LayerSource(first.path, first.diff_id, digest=other)
        case "config":
            sources.pop()
        case "content":
            shutil.copy(sources[1].path, first.path)
    with pytest.raises(errors.IntegrityError):
        images.add_image("local/made:1", made.config, sources)
    assert images.list() == []
    assert state() == before
