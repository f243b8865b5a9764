"""Manifests and blobs of one registry.

Source: OCI distribution-spec 1.1, "Pull".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from .. import errors
from ..oci import media_types
from ..oci.image import Descriptor
from ..store import digest as digests
from ..store.cas import DOCUMENT_LIMIT
from . import challenge, failures
from .auth import Authorizer
from .credentials import Credentials, find_credentials
from .endpoint import is_loopback, registry_host
from .transport import ATTEMPTS, Response, Transport, read_bounded

PROBE_TIMEOUT_S = 5.0
SCHEMA1 = frozenset({media_types.DOCKER_SCHEMA1, media_types.DOCKER_SCHEMA1_SIGNED})


@dataclass(frozen=True)
class RemoteManifest:
    """A manifest or index as it came: the digest is of exactly these bytes."""

    data: bytes
    media_type: str
    digest: str

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.data))


class RegistryClient:
    """Reads from the registry of `domain` (`docker.io`, `127.0.0.1:5000`).

    Without `credentials` docker's configuration file is asked. Close it, or use it in a `with`
    block; methods may be called from several threads.
    """

    def __init__(
        self,
        domain: str,
        credentials: Credentials | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.domain = domain
        self._transport = transport or Transport()
        credentials = credentials or find_credentials(domain)
        self._authorizer = Authorizer(self._transport, domain, credentials)
        self._base = "" if is_loopback(domain) else f"https://{registry_host(domain)}"

    def head_manifest(self, repository: str, tag: str) -> str | None:
        """The digest a tag has now, without its manifest; None when the registry does not say."""
        url = self._url(repository, "manifests", tag)
        headers = {"Accept": media_types.ACCEPT_MANIFEST}
        with self._request("HEAD", url, headers, repository, f"{repository}:{tag}") as response:
            value = response.headers.get("docker-content-digest")
        return value if value and digests.is_valid(value) else None

    def manifest(self, repository: str, tag: str, size: int | None = None) -> RemoteManifest:
        """The manifest or index behind a tag or digest.

        Raises
        ------
        ImageNotFound, Unauthorized, RegistryError, RegistryUnreachable
            As the registry says.
        IntegrityError
            The bytes are not what the digest (asked for, or promised by the registry) says.
        """
        what = f"{repository}@{tag}" if digests.is_valid(tag) else f"{repository}:{tag}"
        url = self._url(repository, "manifests", tag)
        headers = {"Accept": media_types.ACCEPT_MANIFEST}
        with self._request("GET", url, headers, repository, what) as response:
            data = read_bounded(response, DOCUMENT_LIMIT, what)
            media_type = response.headers.get("content-type", "")
            promised = response.headers.get("docker-content-digest")
        media_type = _media_type(data, media_type, self.domain, what)
        if media_type in SCHEMA1:  # its digest leaves the signatures out; it is refused anyway
            return RemoteManifest(data, media_type, digests.of(data))
        if digests.is_valid(tag):
            promised = tag
        if promised and digests.is_valid(promised):
            verifier = digests.Verifier(promised, len(data) if size is None else size, what)
            verifier.update(data)
            verifier.finish()
        else:
            promised = digests.of(data)
        return RemoteManifest(data, media_type, promised)

    @contextmanager
    def open_blob(self, repository: str, digest: str, offset: int = 0) -> Iterator[BlobStream]:
        """The bytes of a blob from `offset` on; unchecked, so write them through a verifier.

        `start` of the stream is 0 when the registry does not continue where it was asked to.
        """
        url = self._url(repository, "blobs", digest)
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        with self._request("GET", url, headers, repository, f"{repository}@{digest}") as response:
            yield BlobStream(response, offset if _continues(response, offset) else 0)

    def abort(self) -> None:
        """Makes every transfer under way fail soon."""
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _url(self, repository: str, kind: str, name: str) -> str:
        return f"{self._find_base()}/v2/{quote(repository)}/{kind}/{quote(name, safe=':')}"

    def _find_base(self) -> str:
        """HTTPS, or on loopback whatever answers, as docker does it."""
        if not self._base:
            secure = f"https://{self.domain}"
            try:
                self._probe(secure)
                self._base = secure
            except errors.RegistryUnreachable as error:
                if not _speaks_no_tls(error):
                    raise
                self._base = f"http://{self.domain}"
        return self._base

    def _probe(self, base: str) -> None:
        with self._transport.request(
            "GET", f"{base}/v2/", {}, attempts=1, read_timeout_s=PROBE_TIMEOUT_S
        ):
            pass

    @contextmanager
    def _request(
        self, method: str, url: str, headers: Mapping[str, str], repository: str, what: str
    ) -> Iterator[Response]:
        """A successful response; one challenge is answered on the way."""
        scope = f"repository:{repository}:pull"
        sent = dict(headers)
        if known := self._authorizer.header(scope):
            sent["Authorization"] = known
        with self._transport.request(method, url, sent, attempts=ATTEMPTS) as response:
            if response.status != 401:
                self._raise_for_status(response, url, what)
                yield response
                return
            asked = challenge.parse(response.headers.getlist("www-authenticate"))
        answer = self._authorizer.answer(asked, scope)
        if answer is None:
            raise failures.unauthorized(self.domain, what, known=False, status=401)
        sent["Authorization"] = answer
        with self._transport.request(method, url, sent, attempts=ATTEMPTS) as response:
            self._raise_for_status(response, url, what)
            yield response

    def _raise_for_status(self, response: Response, url: str, what: str) -> None:
        if response.status not in (200, 206):
            known = self._authorizer.credentials is not None
            raise failures.from_response(response, url, self.domain, what, known=known)


class BlobStream:
    """Chunks of a blob as they come; `start` is where in the blob the first one belongs."""

    def __init__(self, response: Response, start: int) -> None:
        self._response = response
        self.start = start

    def __iter__(self) -> Iterator[bytes]:
        while data := self._response.read(digests.CHUNK, decode_content=False):
            yield data


def _continues(response: Response, offset: int) -> bool:
    content_range = response.headers.get("content-range", "")
    return response.status == 206 and content_range.startswith(f"bytes {offset}-")


def _speaks_no_tls(error: errors.RegistryUnreachable) -> bool:
    """Whether the handshake failed in a way a plain HTTP server makes it fail."""
    return error.facts.get("kind") in ("tls", "broken")


class _Typed(msgspec.Struct, rename="camel"):
    media_type: str = ""
    schema_version: int = 0
    manifests: msgspec.Raw = msgspec.Raw(b"null")


def _media_type(data: bytes, header: str, host: str, what: str) -> str:
    """The document's own type, which must agree with the header's when both are manifest types."""
    header = header.partition(";")[0].strip().lower()
    try:
        document = msgspec.json.decode(data, type=_Typed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = "an HTML page" if "html" in header else "something that is not JSON"
        raise errors.RegistryError(
            f"{host} answered {kind} where the manifest of {what} was expected",
            way_out=f"check that {host} is a registry and not a web page or a login portal",
            temporary=False,
        ) from error
    found = document.media_type or header
    known = media_types.MANIFESTS | media_types.INDEXES
    if document.media_type in known and header in known and document.media_type != header:
        raise errors.RegistryError(
            f"{host} calls the manifest of {what} {header}, and it calls itself {found}",
            temporary=False,
        )
    if found in known:
        return found
    if document.schema_version == 1:
        return media_types.DOCKER_SCHEMA1
    if document.schema_version == 2 and not document.media_type:
        # OCI image-spec 1.0 leaves `mediaType` out, and some servers send application/json.
        has_list = bytes(document.manifests) != b"null"
        return media_types.OCI_INDEX if has_list else media_types.OCI_MANIFEST
    return found
