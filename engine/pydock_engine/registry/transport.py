"""HTTP with manners: pooled connections, redirects that keep secrets, bounded bodies, retries."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions as http

from .. import __version__, errors
from . import failures
from .endpoint import is_loopback, proxy_for, tls_context

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
MAX_REDIRECTS = 5
ATTEMPTS = 3
PAUSE_S = 0.3
MAX_PAUSE_S = 10.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CONNECTIONS = 8
NETWORK_ERRORS = (http.HTTPError, OSError)

Response = urllib3.BaseHTTPResponse


class Transport:
    """Requests to any host; may be used from several threads, and aborted from any."""

    def __init__(self, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._open: set[Response] = set()
        self._lock = threading.Lock()
        self._pause = pause
        self._aborted = False

    @contextmanager
    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: bytes | None = None,
        attempts: int = ATTEMPTS,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> Iterator[Response]:
        """The response to a request, redirects followed; closed at the end of the block.

        Temporary answers (429, 5xx) and broken connections are tried again, `attempts` in all;
        the last answer is given whatever it says.

        Raises
        ------
        RegistryUnreachable
            No connection, TLS failure, time-out, or too many redirects.
        """
        response = self._patient(method, url, headers, body, attempts, read_timeout_s)
        with self._lock:
            self._open.add(response)
        try:
            yield response
        except NETWORK_ERRORS as error:
            raise failures.from_network(error, url) from error
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def abort(self) -> None:
        """Makes every transfer under way, and every later request, fail soon."""
        self._aborted = True
        with self._lock:
            responses = list(self._open)
        for response in responses:
            with contextlib.suppress(Exception):  # it may just have ended by itself
                response.shutdown()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    def _patient(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        attempts: int,
        read_timeout_s: float,
    ) -> Response:
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            pause_s = PAUSE_S * 2 ** (attempt - 1)
            try:
                response = self._follow(method, url, headers, body, read_timeout_s)
            except errors.RegistryUnreachable as error:
                if last or not error.facts["temporary"]:
                    raise
            else:
                if last or response.status not in failures.TEMPORARY:
                    return response
                pause_s = max(pause_s, _retry_after_s(response))
                response.close()
            self._pause(min(pause_s, MAX_PAUSE_S))
        raise AssertionError("attempts must be at least 1")

    def _follow(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        read_timeout_s: float,
    ) -> Response:
        sent = {"User-Agent": f"pydock/{__version__}", **headers}
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send(method, url, sent, body, read_timeout_s)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or not location:
                return response
            response.close()
            target = urljoin(url, location)
            _check_redirect(url, target)
            if _origin(target) != _origin(url):
                sent.pop("Authorization", None)
            url = target
        raise errors.RegistryUnreachable(
            f"{failures.shown(url)} redirects without end", temporary=False
        )

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        read_timeout_s: float,
    ) -> Response:
        if self._aborted:
            raise errors.RegistryUnreachable("the transfer was given up", temporary=False)
        try:
            return self._pool(url).request(
                method,
                url,
                headers=headers,
                body=body,
                retries=False,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=read_timeout_s),
            )
        except (http.LocationValueError, UnicodeError) as error:
            raise errors.RegistryUnreachable(
                f"{failures.shown(url)} is not an address", temporary=False
            ) from error
        except NETWORK_ERRORS as error:
            raise failures.from_network(error, url) from error

    def _pool(self, url: str) -> urllib3.PoolManager:
        scheme, _, rest = url.partition("://")
        key = (scheme, rest.partition("/")[0])
        with self._lock:
            if key not in self._pools:
                self._pools[key] = _make_pool(url)
            return self._pools[key]


def read_bounded(response: Response, limit: int, what: str) -> bytes:
    """The whole body of `response`; raises RegistryError when it is longer than `limit` bytes."""
    parts: list[bytes] = []
    left = limit + 1
    while left > 0 and (data := response.read(left, decode_content=False)):
        parts.append(data)
        left -= len(data)
    if left <= 0:
        raise errors.RegistryError(
            f"the registry's answer for {what} is longer than {limit} bytes", temporary=False
        )
    return b"".join(parts)


def _make_pool(url: str) -> urllib3.PoolManager:
    parts = urlsplit(url)
    options = {"maxsize": CONNECTIONS, "num_pools": 2}
    context = tls_context(parts.netloc) if parts.scheme == "https" else None
    proxy = proxy_for(url)
    if proxy:
        return urllib3.ProxyManager(proxy, ssl_context=context, **options)  # type: ignore[arg-type]
    return urllib3.PoolManager(ssl_context=context, **options)  # type: ignore[arg-type]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _check_redirect(source: str, target: str) -> None:
    """Refuses to leave HTTPS, and schemes that are not HTTP at all."""
    here, there = urlsplit(source), urlsplit(target)
    plain = there.scheme == "http" and (
        here.scheme == "http" and is_loopback(here.netloc) and is_loopback(there.netloc)
    )
    if there.scheme != "https" and not plain:
        raise errors.RegistryUnreachable(
            f"{here.netloc} redirects to {failures.shown(target)}, which is not HTTPS",
            temporary=False,
        )


def _retry_after_s(response: Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) < 6 else 0.0
