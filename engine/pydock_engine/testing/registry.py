"""A registry in this process, over real HTTP on loopback, that can be told to misbehave.

    with TestRegistry() as registry:
        reference = registry.add(random_image(), "team/image:1")
        registry.faults.append(Fault("blobs", "truncate", times=1))

It serves what distribution-spec calls pull; images get in by `add`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from .random_image import MadeImage

TOKEN = "token-of-the-tests"  # noqa: S105 - not a secret
HTML = b"<!doctype html><title>Log in to the network</title>"
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<ref>[^/]+)")


@dataclass
class Fault:
    """What goes wrong with requests whose path holds `part`, `times` times (-1: always).

    kind: `status` (answers `status`), `truncate` (ends after `keep` bytes), `corrupt` (one byte
    differs), `html`, `redirect` (to `url`), `content_type` (says `content_type`), `wait` (until
    `gate` is set, after `keep` bytes), `drop` (no answer at all).
    """

    part: str
    kind: str
    times: int = -1
    status: int = 503
    keep: int = 100
    url: str = ""
    content_type: str = ""
    message: str = "told to fail"
    gate: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]


class TestRegistry:
    """A server on a free port; `auth` is "", "basic" or "bearer". Use it in a `with` block."""

    __test__ = False  # pytest: not a test class

    def __init__(
        self,
        *,
        auth: str = "",
        user: tuple[str, str] = ("tester", "secret"),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.auth = auth
        self.user = user
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.digest_header: Callable[[str], str] = lambda digest: digest
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def add(self, image: MadeImage, name: str) -> str:
        """Puts an image in as `name` (`team/image:1`); the whole reference comes back."""
        repository, _, tag = name.partition(":")
        for blob in image.blobs:
            self.add_blob(blob)
        self.add_manifest(repository, image.manifest, image.media_type)
        return self.add_manifest(repository, image.manifest, image.media_type, tag)

    def add_manifest(
        self, repository: str, data: bytes, media_type: str, tag: str | None = None
    ) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.manifests[repository, digest] = (data, media_type)
        if tag is None:
            return f"{self.host}/{repository}@{digest}"
        self.manifests[repository, tag] = (data, media_type)
        return f"{self.host}/{repository}:{tag}"

    def add_blob(self, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def paths(self, method: str = "GET") -> list[str]:
        """Of every request so far."""
        return [request.path for request in self.requests if request.method == method]

    def take_fault(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.part in path and fault.times != 0:
                    fault.times -= 1
                    return fault
        return None

    def __enter__(self) -> TestRegistry:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for fault in self.faults:
            fault.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what many tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    registry: TestRegistry
    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_GET(self) -> None:
        request = Request(self.command, self.path, dict(self.headers.items()))
        self.registry.requests.append(request)
        fault = self.registry.take_fault(self.path)
        if fault is not None and self._fail_early(fault):
            return
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._token(parts.query)
        elif not self._is_authorized():
            self._challenge()
        elif parts.path == "/v2/":
            self._send(200, b"{}", "application/json")
        elif match := _PATH.fullmatch(unquote(parts.path)):
            self._serve(match["name"], match["kind"], match["ref"], fault)
        else:
            self._error(404, "NAME_UNKNOWN", "no such path")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """The OAuth2 form of a token request: a refresh token is the user's secret."""
        request = Request(self.command, self.path, dict(self.headers.items()))
        self.registry.requests.append(request)
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
        if form.get("refresh_token") == [self.registry.user[1]]:
            answer = {"access_token": TOKEN, "expires_in": 300}
            self._send(200, msgspec.json.encode(answer), "application/json")
        else:
            self._error(401, "UNAUTHORIZED", "unknown refresh token")

    def _serve(self, name: str, kind: str, ref: str, fault: Fault | None) -> None:
        if kind == "manifests":
            data, media_type = self.registry.manifests.get((name, ref), (None, ""))
            code = "MANIFEST_UNKNOWN"
        else:
            data, media_type = self.registry.blobs.get(ref), "application/octet-stream"
            code = "BLOB_UNKNOWN"
        if data is None:
            self._error(404, code, f"{kind[:-1]} unknown")
            return
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        headers = {"Docker-Content-Digest": self.registry.digest_header(digest)}
        status, start = 200, 0
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            status, start = 206, int(match[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if fault is not None and fault.kind == "corrupt":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if fault is not None and fault.kind == "content_type":
            media_type = fault.content_type
        self._send(status, data[start:], media_type, headers, fault)

    def _fail_early(self, fault: Fault) -> bool:
        """Answers for `fault` when nothing else is to be said."""
        if fault.kind == "status":
            self._error(fault.status, "UNAVAILABLE", fault.message, fault.headers)
        elif fault.kind == "html":
            self._send(200, HTML, "text/html")
        elif fault.kind == "redirect":
            self._send(307, b"", "text/plain", {"Location": fault.url})
        elif fault.kind == "drop":
            self.close_connection = True
        else:
            return False
        return True

    def _send(
        self,
        status: int,
        data: bytes,
        media_type: str,
        headers: dict[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.kind == "truncate":
            data = data[: fault.keep]
            self.close_connection = True
        if fault is not None and fault.kind == "wait":
            self.wfile.write(data[: fault.keep])
            fault.gate.wait(30)
            data = data[fault.keep :]
        self.wfile.write(data)

    def _is_authorized(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.registry.auth == "basic":
            return given == _basic(self.registry.user)
        return self.registry.auth != "bearer" or given == f"Bearer {TOKEN}"

    def _challenge(self) -> None:
        challenge = 'Basic realm="tests"'
        if self.registry.auth == "bearer":
            realm = f"{self.registry.scheme}://{self.registry.host}/token"
            challenge = f'Bearer realm="{realm}",service="tests",scope="unused:by:clients"'
        self._error(401, "UNAUTHORIZED", "who are you", {"WWW-Authenticate": challenge})

    def _token(self, query: str) -> None:
        """Gives the token to the user; to a stranger for repositories below `public/`."""
        given = self.headers.get("Authorization")
        scope = parse_qs(query).get("scope", [""])[0]
        is_user = given == _basic(self.registry.user)
        if is_user or (given is None and scope.startswith("repository:public/")):
            answer = {"token": TOKEN, "expires_in": 300}
            self._send(200, msgspec.json.encode(answer), "application/json")
        else:
            self._error(401, "UNAUTHORIZED", "wrong user name or password")

    def _error(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        body = msgspec.json.encode({"errors": [{"code": code, "message": message}]})
        self._send(status, body, "application/json", headers)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the tests' output clean; `TestRegistry.requests` has it all."""


def _handler(registry: TestRegistry) -> type[_Handler]:
    return type("Handler", (_Handler,), {"registry": registry})


def _basic(user: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(user).encode()).decode()
