"""A registry's refusals, and the network's, as errors that say what to do.

Source: OCI distribution-spec 1.1, "Error Codes".
"""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3 import exceptions as http

from .. import errors
from .credentials import uses_helper

ERROR_BODY_LIMIT = 64 << 10
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})


class _Entry(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct):
    errors: tuple[_Entry, ...] = ()


def shown(url: str) -> str:
    """`url` without user, password and query (signed URLs carry secrets there)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def from_response(
    response: urllib3.BaseHTTPResponse, url: str, domain: str, what: str, *, known: bool
) -> errors.RegistryError | errors.ImageNotFound:
    """The refusal in `response` to a request for `what` (an image's or blob's name).

    `domain` is the registry's, as references have it; `known` tells whether credentials were sent.
    Reads at most ERROR_BODY_LIMIT of the body.
    """
    entries = _entries(response)
    codes = ",".join(entry.code for entry in entries if entry.code)
    said = "; ".join(entry.message for entry in entries if entry.message)[:300]
    facts = {
        "status": response.status,
        "codes": codes,
        "url": shown(url),
        "temporary": response.status in TEMPORARY,
    }
    if response.status in (401, 403):
        return unauthorized(domain, what, known=known, **facts)
    if response.status == 404:
        return errors.ImageNotFound(
            f"{domain} has no image {what}" + (f" ({said})" if said else ""),
            way_out="check the name and the tag; a private image needs a login",
            **facts,
        )
    reason = said or response.reason or "no reason given"
    return errors.RegistryError(
        f"{domain} answered {response.status} to a request for {what}: {reason}",
        way_out="try again later" if facts["temporary"] else "",
        **facts,
    )


def unauthorized(domain: str, what: str, *, known: bool, **facts: object) -> errors.Unauthorized:
    if known:
        message = f"{domain} does not accept this user name and password for {what}"
    else:
        message = f"{domain} asks for a login before it gives {what}, if that exists at all"
    if not known and uses_helper(domain):
        way_out = "docker's credential helper keeps this secret; pass `credentials=Credentials(…)`"
    else:
        way_out = f"log in with `docker login {domain}`, or pass `credentials=Credentials(…)`"
    return errors.Unauthorized(message, way_out=way_out, **facts)


def from_network(error: http.HTTPError | OSError, url: str) -> errors.RegistryError:
    """`error` met on the way to `url`, as RegistryUnreachable."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    facts: dict[str, object] = {"url": shown(url), "temporary": False}
    certificate = certificate_error(error)
    if certificate is not None:
        return errors.RegistryUnreachable(
            f"the TLS certificate of {host} cannot be trusted: {certificate.verify_message}",
            way_out=f"put its authority into /etc/docker/certs.d/{host}/ca.crt, "
            "or name it in SSL_CERT_FILE",
            kind="certificate",
            **facts,
        )
    if isinstance(error, http.SSLError):
        reason = f"no TLS connection to {host}: {_last_words(error)}"
        return errors.RegistryUnreachable(
            reason, way_out="only registries on loopback may speak plain HTTP", kind="tls", **facts
        )
    if isinstance(error, http.NameResolutionError):
        return errors.RegistryUnreachable(
            f"no machine is called {host}",
            way_out="check the name and this machine's network",
            **facts,
        )
    if isinstance(error, http.NewConnectionError):
        return errors.RegistryUnreachable(
            f"no connection to {host}: {_last_words(error)}",
            way_out="check that the registry is running and that its port is right",
            **facts,
        )
    facts["temporary"] = True
    if isinstance(error, http.TimeoutError | TimeoutError):
        message = f"{host} did not answer in time"
    else:
        message = f"the connection to {host} broke: {_last_words(error)}"
    return errors.RegistryUnreachable(message, way_out="try again", kind="broken", **facts)


def certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The failed certificate check behind `error`, if that is what it is."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None or isinstance(seen, ssl.SSLCertVerificationError):
            return seen
        inner = [arg for arg in seen.args if isinstance(arg, BaseException)]
        seen = inner[0] if inner else seen.__cause__ or seen.__context__
    return None


def _last_words(error: BaseException) -> str:
    """The innermost reason, without urllib3's object addresses."""
    while True:
        inner = [arg for arg in error.args if isinstance(arg, BaseException)]
        cause = inner[0] if inner else error.__cause__
        if cause is None or cause is error:
            break
        error = cause
    strerror = getattr(error, "strerror", None)
    return str(strerror or error).rpartition(">: ")[2][:200]


def _entries(response: urllib3.BaseHTTPResponse) -> tuple[_Entry, ...]:
    try:
        body = response.read(ERROR_BODY_LIMIT, decode_content=False)
        return msgspec.json.decode(body, type=_Errors).errors[:5]
    except (msgspec.DecodeError, UnicodeDecodeError, http.HTTPError, OSError):
        return ()
