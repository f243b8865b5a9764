"""Debian's docker-registry on a free port of loopback, and a pusher of the test images."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.support.images import Blob, Image, Index
from tests.support.packages import program_or_skip

USER, PASSWORD = "tester", "correct horse"
HTPASSWD = f"{USER}:$2b$04$puc8goxilpQTvrxjTysCcOlNnSMajMnTB0ld9SzgVI9fyFi2Xg7H2\n"
READY_S = 20.0


@dataclass(frozen=True)
class Registry:
    """A running registry; `host` is what references begin with."""

    host: str
    folder: Path
    """Its storage; `blob_file()` finds a blob's bytes there, to damage them."""
    pid: int
    scheme: str = "http"
    certificate: Path | None = None
    password: str = ""

    def push(self, image: Image | Index, name: str) -> str:
        """Uploads `image` as `name` (`team/busybox:1`); the whole reference comes back."""
        repository, _, tag = name.partition(":")
        with self._pool() as pool:
            images = image.images if isinstance(image, Index) else (image,)
            for one in images:
                for blob in {b.digest: b for b in (one.config, *one.layers)}.values():
                    self._push_blob(pool, repository, blob)
                self._push_manifest(pool, repository, one.manifest, one.manifest.digest)
            self._push_manifest(pool, repository, image.manifest, tag or "latest")
        return f"{self.host}/{name}"

    def blob_file(self, digest: str) -> Path:
        """Where the registry keeps the blob `digest`."""
        hexadecimal = digest.removeprefix("sha256:")
        blobs = self.folder / "docker/registry/v2/blobs/sha256"
        return blobs / hexadecimal[:2] / hexadecimal / "data"

    def _pool(self) -> urllib3.PoolManager:
        headers = {}
        if self.password:
            headers = urllib3.make_headers(basic_auth=f"{USER}:{self.password}")
        certificate = str(self.certificate) if self.certificate else None
        return urllib3.PoolManager(headers=headers, ca_certs=certificate, retries=False)

    def _push_blob(self, pool: urllib3.PoolManager, repository: str, blob: Blob) -> None:
        base = f"{self.scheme}://{self.host}/v2/{repository}"
        if pool.request("HEAD", f"{base}/blobs/{blob.digest}").status == 200:
            return
        upload = pool.request("POST", f"{base}/blobs/uploads/")
        _expect(202, upload)
        location = upload.headers["Location"]
        joined = f"{location}{'&' if '?' in location else '?'}digest={blob.digest}"
        headers = {**pool.headers, "Content-Type": "application/octet-stream"}
        _expect(201, pool.request("PUT", joined, body=blob.data, headers=headers))

    def _push_manifest(
        self, pool: urllib3.PoolManager, repository: str, blob: Blob, tag: str
    ) -> None:
        url = f"{self.scheme}://{self.host}/v2/{repository}/manifests/{tag}"
        headers = {**pool.headers, "Content-Type": blob.media_type}
        _expect(201, pool.request("PUT", url, body=blob.data, headers=headers))


@contextlib.contextmanager
def serve_registry(
    folder: Path, *, htpasswd: bool = False, tls: bool = False
) -> Iterator[Registry]:
    """A registry that stores in `folder`, until the end of the `with`.

    `htpasswd` asks for Basic credentials (`USER`, `PASSWORD`); `tls` serves HTTPS with a
    certificate of its own making, `Registry.certificate`, that nobody trusts yet.
    """
    program = program_or_skip("docker-registry")
    certificate = _make_certificate(folder) if tls else None
    config = _write_config(folder, htpasswd=htpasswd, tls=tls)
    log = folder / "registry.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "serve", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
        )
    try:
        yield Registry(
            host=f"127.0.0.1:{_wait_for_port(process, log)}",
            folder=folder / "storage",
            pid=process.pid,
            scheme="https" if tls else "http",
            certificate=certificate,
            password=PASSWORD if htpasswd else "",
        )
    finally:
        process.kill()
        process.wait()


def _write_config(folder: Path, *, htpasswd: bool, tls: bool) -> Path:
    """The registry's configuration; JSON is YAML too."""
    http: dict[str, object] = {"addr": "127.0.0.1:0", "secret": "of the tests"}
    if tls:
        http["tls"] = {
            "certificate": str(folder / "registry.crt"),
            "key": str(folder / "registry.key"),
        }
    document: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "delete": {"enabled": True},
        },
        "http": http,
    }
    if htpasswd:
        (folder / "htpasswd").write_text(HTPASSWD)
        document["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    config = folder / "registry.json"
    config.write_text(json.dumps(document))
    return config


def _make_certificate(folder: Path) -> Path:
    certificate = folder / "registry.crt"
    command = [program_or_skip("openssl"), "req", "-x509", "-nodes", "-days", "2"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", "/CN=registry of the tests", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "registry.key"), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


def _wait_for_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port the registry chose, once it answers there."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text()):
            port = int(found[1])
            socket.create_connection(("127.0.0.1", port), timeout=READY_S).close()
            return port
        time.sleep(0.01)
    raise RuntimeError(f"docker-registry did not start:\n{log.read_text()}")


def _expect(status: int, response: urllib3.BaseHTTPResponse) -> None:
    if response.status != status:
        raise RuntimeError(f"the registry said {response.status}: {response.data[:400]!r}")
