"""Who to be at a registry: given by the caller, or found where `docker login` puts it.

Source: Docker CLI configuration file, property `auths`.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .. import errors

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
MAX_CONFIG = 1 << 20


@dataclass(frozen=True)
class Credentials:
    """A user name and its secret; the secret is never shown.

    `identity_token`, when set, is an OAuth2 refresh token used instead of the password.
    """

    username: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, password='…')"

    @property
    def basic(self) -> str:
        """Value of an Authorization header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


class _Auth(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class _Config(msgspec.Struct):
    auths: dict[str, _Auth] = {}
    credsStore: str = ""
    credHelpers: dict[str, str] = {}


def config_files() -> tuple[Path, ...]:
    """Where `docker login` and `podman login` of this user write; they need not exist."""
    folder = os.environ.get("DOCKER_CONFIG")
    found = [(Path(folder) if folder else Path.home() / ".docker") / "config.json"]
    if podman := os.environ.get("REGISTRY_AUTH_FILE"):
        found.append(Path(podman))
    elif runtime := os.environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime) / "containers" / "auth.json")
    return tuple(found)


def find_credentials(host: str) -> Credentials | None:
    """What a login has stored for `host` (`docker.io`, `127.0.0.1:5000`), the first that has.

    Raises
    ------
    UsageError
        The file cannot be read or understood.
    """
    for path in config_files():
        config = _read(path)
        for key in _keys(host):
            entry = config.auths.get(key)
            if entry is not None and (entry.auth or entry.username or entry.identitytoken):
                return _credentials(entry, key, path)
    return None


def uses_helper(host: str) -> bool:
    """Whether a program of docker's keeps the secret of `host`; it is not asked here."""
    for path in config_files():
        config = _read(path)
        if any(key in config.auths and config.credsStore for key in _keys(host)):
            return True
        if any(key in config.credHelpers for key in _keys(host)):
            return True
    return False


def _keys(host: str) -> tuple[str, ...]:
    if host == "docker.io":
        return (DOCKER_HUB_KEY, "index.docker.io", "docker.io", "registry-1.docker.io")
    return (host, f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/")


def _read(path: Path) -> _Config:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CONFIG)
    except (FileNotFoundError, NotADirectoryError):
        return _Config()
    except OSError as error:
        raise errors.UsageError(f"cannot read {path}: {error.strerror}") from error
    try:
        return msgspec.json.decode(data, type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.UsageError(
            f"{path} is not a docker configuration: {error}",
            way_out="repair it, or set DOCKER_CONFIG to a folder with another config.json",
        ) from error


def _credentials(entry: _Auth, key: str, path: Path) -> Credentials:
    username, password = entry.username, entry.password
    if entry.auth:
        try:
            decoded = base64.b64decode(entry.auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise errors.UsageError(
                f"{path} has a malformed `auth` for {key}", way_out=f"`docker login {key}` again"
            ) from error
        username, _, password = decoded.partition(":")
    return Credentials(username, password.rstrip("\0"), entry.identitytoken)
