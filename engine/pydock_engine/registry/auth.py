"""Answers to a registry's challenge: Basic, or a Bearer token fetched from where it says.

Source: distribution "Token Authentication Specification" and its OAuth2 variant.
"""

from __future__ import annotations

import threading
import time
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from .. import errors
from . import failures
from .challenge import Challenge
from .credentials import Credentials
from .endpoint import is_loopback
from .transport import Transport, read_bounded

TOKEN_LIMIT = 256 << 10
CLIENT_ID = "pydock"
DEFAULT_LIFE_S = 60.0
MARGIN_S = 10.0


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float | None = None

    @property
    def value(self) -> str:
        return self.token or self.access_token


class Authorizer:
    """Authorization headers for one registry; tokens are kept per scope until they run out."""

    def __init__(self, transport: Transport, domain: str, credentials: Credentials | None) -> None:
        self._transport = transport
        self._domain = domain
        self.credentials = credentials
        self._kept: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def header(self, scope: str) -> str | None:
        """What to send without being asked: the last answer for `scope` that still holds."""
        value, until = self._kept.get(scope, ("", 0.0))
        return value if value and time.monotonic() < until else None

    def answer(self, challenges: list[Challenge], scope: str) -> str | None:
        """A header for `scope`; None when there is no answer (Basic without credentials).

        Raises
        ------
        Unauthorized
            The token service does not accept the credentials.
        RegistryError
            The registry asks for a scheme nobody here speaks, or its token service is broken.
        """
        with self._lock:
            for challenge in challenges:
                if challenge.scheme == "bearer":
                    token = self._fetch(challenge, scope)
                    life_s = DEFAULT_LIFE_S if token.expires_in is None else token.expires_in
                    return self._keep(scope, f"Bearer {token.value}", life_s - MARGIN_S)
                if challenge.scheme == "basic":
                    if self.credentials is None:
                        return None
                    return self._keep(scope, self.credentials.basic, float("inf"))
        asked = ", ".join(challenge.scheme for challenge in challenges) or "nothing known"
        raise errors.RegistryError(
            f"{self._domain} asks for a login by {asked}; only Basic and Bearer are known here"
        )

    def _keep(self, scope: str, value: str, life_s: float) -> str:
        self._kept[scope] = (value, time.monotonic() + life_s)
        return value

    def _fetch(self, challenge: Challenge, scope: str) -> _Token:
        realm = challenge.parameters.get("realm", "")
        _check_realm(realm, self._domain)
        service = challenge.parameters.get("service", "")
        credentials = self.credentials
        if credentials is not None and credentials.identity_token:
            return self._refresh(realm, service, scope, credentials)
        query = [("service", service)] if service else []
        query += [("scope", one) for one in scope.split(" ")]
        headers = {"Accept": "application/json"}
        if credentials is not None:
            query.append(("account", credentials.username))
            headers["Authorization"] = credentials.basic
        separator = "&" if urlsplit(realm).query else "?"
        return self._exchange("GET", realm + separator + urlencode(query, quote_via=quote), headers)

    def _refresh(self, realm: str, service: str, scope: str, credentials: Credentials) -> _Token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "client_id": CLIENT_ID,
            "service": service,
            "scope": scope,
        }
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self._exchange("POST", realm, headers, urlencode(form).encode())

    def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> _Token:
        what = "this image"
        with self._transport.request(method, url, headers, body=body) as response:
            if response.status != 200:
                known = self.credentials is not None
                raise failures.from_response(response, url, self._domain, what, known=known)
            data = read_bounded(response, TOKEN_LIMIT, what)
        try:
            token = msgspec.json.decode(data, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.RegistryError(
                f"{failures.shown(url)} answered with something that is not a token"
            ) from error
        if not token.value or not token.value.isascii() or not token.value.isprintable():
            raise errors.RegistryError(f"{failures.shown(url)} gave an empty or malformed token")
        return token


def _check_realm(realm: str, domain: str) -> None:
    """Credentials go to the realm: it must be HTTPS, or on this machine like its registry."""
    parts = urlsplit(realm)
    local = parts.scheme == "http" and is_loopback(parts.netloc) and is_loopback(domain)
    if not parts.netloc or (parts.scheme != "https" and not local):
        raise errors.RegistryError(
            f"{domain} sends to {failures.shown(realm) if realm else 'nowhere'} for a token, "
            "which is not an HTTPS address"
        )
