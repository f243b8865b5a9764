"""The client against a registry that redirects, lies about where to log in, and talks too much."""

from __future__ import annotations

import threading

import pytest
from pydock_engine import errors
from pydock_engine.registry import auth, failures
from pydock_engine.registry.challenge import Challenge
from pydock_engine.registry.client import RegistryClient
from pydock_engine.registry.credentials import Credentials
from pydock_engine.registry.endpoint import is_loopback, proxy_for, registry_host
from pydock_engine.registry.transport import Transport
from pydock_engine.store import digest
from pydock_engine.testing.random_image import random_image
from pydock_engine.testing.registry import Fault, TestRegistry

MADE = random_image(1)
BLOB = MADE.layers[0]


def read(client: RegistryClient, offset: int = 0) -> bytes:
    with client.open_blob("team/image", digest.of(BLOB), offset) as stream:
        return b"".join(stream)


def test_manifests_and_blobs_are_read(fake: TestRegistry) -> None:
    fake.add(MADE, "team/image:1")
    with RegistryClient(fake.host) as client:
        manifest = client.manifest("team/image", "1")
        assert (manifest.data, manifest.digest) == (MADE.manifest, MADE.digest)
        assert client.manifest("team/image", MADE.digest) == manifest
        assert client.head_manifest("team/image", "1") == MADE.digest
        assert read(client) == BLOB
        assert read(client, 10) == BLOB[10:]
    assert fake.requests[-1].headers["Accept-Encoding"] == "identity"


def test_credentials_do_not_follow_a_redirect_to_another_host(fake: TestRegistry) -> None:
    with TestRegistry(auth="basic") as registry:
        registry.add(MADE, "team/image:1")
        fake.add_blob(BLOB)
        path = f"/v2/x/blobs/{digest.of(BLOB)}"
        registry.faults.append(Fault("/blobs/", "redirect", url=f"http://{fake.host}{path}"))
        with RegistryClient(registry.host, Credentials("tester", "secret")) as client:
            client.manifest("team/image", "1")
            assert read(client, 5) == BLOB[5:]
        assert "Authorization" in registry.requests[-1].headers
    assert "Authorization" not in fake.requests[-1].headers
    assert fake.requests[-1].headers["Range"] == "bytes=5-"


def test_credentials_stay_on_a_redirect_within_the_host() -> None:
    with TestRegistry(auth="basic") as registry:
        registry.add(MADE, "team/image:1")
        fault = Fault(digest.of(BLOB), "redirect", times=1, url=f"/v2/b/blobs/{digest.of(BLOB)}")
        registry.faults.append(fault)
        with RegistryClient(registry.host, Credentials("tester", "secret")) as client:
            client.manifest("team/image", "1")
            assert read(client) == BLOB
        assert "Authorization" in registry.requests[-1].headers


@pytest.mark.parametrize("url", ["http://example.com/x", "file:///etc/passwd", "ftp://h/x"])
def test_a_redirect_leaves_neither_https_nor_loopback(fake: TestRegistry, url: str) -> None:
    fake.faults.append(Fault("/blobs/", "redirect", url=url))
    with RegistryClient(fake.host) as client:
        with pytest.raises(errors.RegistryUnreachable, match="which is not HTTPS"):
            read(client)


def test_redirects_without_end_are_given_up(fake: TestRegistry) -> None:
    fake.faults.append(Fault("/blobs/", "redirect", url="/v2/again/blobs/x"))
    with RegistryClient(fake.host) as client:
        with pytest.raises(errors.RegistryUnreachable, match="without end"):
            read(client)
    assert len([path for path in fake.paths() if "/blobs/" in path]) == 6


@pytest.mark.parametrize(
    "realm", ["http://example.com/token", "", "ftp://example.com", "http://169.254.169.254/token"]
)
def test_secrets_are_not_sent_to_a_realm_without_https(realm: str) -> None:
    authorizer = auth.Authorizer(Transport(), "registry.example", Credentials("a", "b"))
    challenge = Challenge("bearer", {"realm": realm})
    with pytest.raises(errors.RegistryError, match="not an HTTPS address"):
        authorizer.answer([challenge], "repository:x:pull")


def test_a_scheme_nobody_speaks_is_named() -> None:
    authorizer = auth.Authorizer(Transport(), "registry.example", Credentials("a", "b"))
    with pytest.raises(errors.RegistryError, match="negotiate"):
        authorizer.answer([Challenge("negotiate", {})], "repository:x:pull")


def test_an_identity_token_is_exchanged() -> None:
    with TestRegistry(auth="bearer") as registry:
        registry.add(MADE, "team/image:1")
        good = Credentials("tester", identity_token="secret")
        with RegistryClient(registry.host, good) as client:
            assert client.manifest("team/image", "1").digest == MADE.digest
        assert registry.paths("POST") == ["/token"]
        bad = Credentials("tester", identity_token="other")
        with RegistryClient(registry.host, bad) as client:
            with pytest.raises(errors.Unauthorized):
                client.manifest("team/image", "1")


def test_a_refusal_that_talks_without_end_is_cut(fake: TestRegistry) -> None:
    fake.faults.append(Fault("/manifests/", "status", status=400, message="x" * 10_000_000))
    with RegistryClient(fake.host) as client:
        with pytest.raises(errors.RegistryError, match="answered 400") as caught:
            client.manifest("team/image", "1")
    assert "xx" not in caught.value.message  # cut short it is no JSON any more


def test_only_loopback_falls_back_to_plain_http() -> None:
    assert all(map(is_loopback, ["localhost", "a.localhost:1", "127.9.9.9:5000", "[::1]:5000"]))
    others = ["example.com", "10.0.0.1", "127.0.0.1.example.com", "localhost.example.com", "[::2]"]
    assert not any(map(is_loopback, others))


def test_docker_hub_lives_elsewhere() -> None:
    assert registry_host("docker.io") == "registry-1.docker.io"
    assert registry_host("ghcr.io") == "ghcr.io"


def test_proxies_are_the_environments_but_never_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_for("https://ghcr.io/v2/") == "http://proxy:3128"
    assert proxy_for("https://inside.example/v2/") is None
    assert proxy_for("http://127.0.0.1:5000/v2/") is None


def test_urls_are_shown_without_their_secrets() -> None:
    assert failures.shown("https://u:p@h/x?X-Signature=1") == "https://h/x"


def test_an_abort_wakes_whoever_waits_for_bytes(fake: TestRegistry) -> None:
    fault = Fault("/blobs/", "wait", keep=10)
    fake.faults.append(fault)
    fake.add_blob(BLOB)
    client = RegistryClient(fake.host)
    first, failed = threading.Event(), []

    def run() -> None:
        try:
            with client.open_blob("team/image", digest.of(BLOB)) as stream:
                first.set()
                for _ in stream:
                    pass
        except errors.RegistryUnreachable as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert first.wait(10)
    client.abort()
    thread.join(10)
    assert not thread.is_alive()
    fault.gate.set()
    with pytest.raises(errors.RegistryUnreachable, match="given up"):
        client.manifest("team/image", "1")
    client.close()
