"""Secrets: found where docker and podman keep them, never shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from pydock_engine import errors
from pydock_engine.registry.credentials import Credentials, find_credentials, uses_helper


def write(tmp_path: Path, document: object) -> None:
    folder = tmp_path / "docker"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(
        document if isinstance(document, str) else json.dumps(document)
    )


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_secret_is_never_shown() -> None:
    one = Credentials("me", "hunter2", "refresh")
    assert "hunter2" not in repr(one) + str(one)
    assert "refresh" not in repr(one)
    assert "me" in repr(one)


def test_no_file_means_no_credentials() -> None:
    assert find_credentials("docker.io") is None


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("docker.io", "https://index.docker.io/v1/"),
        ("ghcr.io", "ghcr.io"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("old.example", "https://old.example/v1/"),
    ],
)
def test_dockers_keys_are_known(tmp_path: Path, host: str, key: str) -> None:
    write(tmp_path, {"auths": {"other": {"auth": encoded("x:y")}, key: {"auth": encoded("a:b:c")}}})
    assert find_credentials(host) == Credentials("a", "b:c")
    assert find_credentials("127.0.0.1:5001") is None


def test_an_identity_token_is_kept_apart(tmp_path: Path) -> None:
    entry = {"auth": encoded("00000000:"), "identitytoken": "tok"}
    write(tmp_path, {"auths": {"h": entry}})
    found = find_credentials("h")
    assert found is not None
    assert found.identity_token == "tok"


def test_podmans_file_is_read_after_dockers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    podman = tmp_path / "auth.json"
    podman.write_text(json.dumps({"auths": {"h": {"auth": encoded("pod:man")}}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(podman))
    assert find_credentials("h") == Credentials("pod", "man")
    write(tmp_path, {"auths": {"h": {"auth": encoded("doc:ker")}}})
    assert find_credentials("h") == Credentials("doc", "ker")


def test_a_helper_that_keeps_the_secret_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, {"auths": {"h": {}}, "credsStore": "desktop"})
    assert find_credentials("h") is None
    assert uses_helper("h")
    assert not uses_helper("other")
    write(tmp_path, {"credHelpers": {"h": "pass"}})
    assert uses_helper("h")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": 3}'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(errors.UsageError, match=r"config\.json") as caught:
        find_credentials("h")
    assert "DOCKER_CONFIG" in caught.value.way_out


def test_a_broken_entry_is_named_without_its_secret(tmp_path: Path) -> None:
    write(tmp_path, {"auths": {"h": {"auth": "s3cret!"}}})
    with pytest.raises(errors.UsageError, match="malformed `auth` for h") as caught:
        find_credentials("h")
    assert "s3cret" not in str(caught.value)
