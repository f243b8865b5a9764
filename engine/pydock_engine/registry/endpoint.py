"""Where a registry lives: hosts, which of them may speak plain HTTP, certificates, proxies."""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"
CERTIFICATES = Path("/etc/docker/certs.d")
"""Where docker looks for a registry's own authority: `HOST[:PORT]/*.crt`."""


def registry_host(domain: str) -> str:
    """`HOST[:PORT]` of the registry behind the domain of a reference."""
    return HUB_HOST if domain == HUB else domain


def is_loopback(host: str) -> bool:
    """Whether `HOST[:PORT]` can only be this machine (names are not resolved)."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def tls_context(host: str) -> ssl.SSLContext:
    """The system's authorities, SSL_CERT_FILE, and the registry's own from docker's folder."""
    context = ssl.create_default_context()
    folder = CERTIFICATES / host
    if re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", host) and folder.is_dir():
        for certificate in sorted(folder.glob("*.crt")):
            context.load_verify_locations(certificate)
    return context


def proxy_for(url: str) -> str | None:
    """The proxy the environment (`https_proxy`, `no_proxy`…) names for `url`, if any."""
    parts = urlsplit(url)
    if is_loopback(parts.netloc) or (parts.hostname and proxy_bypass(parts.hostname)):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
