"""A registry in this process, and nobody's logins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydock_engine.testing.registry import TestRegistry


@pytest.fixture(autouse=True)
def no_login_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "none.json"))


@pytest.fixture
def fake() -> Iterator[TestRegistry]:
    with TestRegistry() as registry:
        yield registry
