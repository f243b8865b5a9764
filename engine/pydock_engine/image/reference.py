"""Image names as values, parsed once at the edge, by docker's grammar.

    [registry[:port]/]path[/path…][:tag][@digest]

The first part is a registry when it holds a dot or a colon, is `localhost`, or has capitals;
otherwise the registry is docker.io, and a name of one part means `library/NAME` there. With neither
tag nor digest the tag is `latest`.

Source: distribution/reference (grammar in its package documentation), OCI distribution-spec 1.1.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from .. import errors

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
MAX_NAME = 255

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")

EXAMPLE = "images are named like `busybox`, `python:3.12` or `127.0.0.1:5000/team/python:3.12`"


@dataclass(frozen=True)
class Reference:
    """One image name in full. `str()` is the familiar form, as docker shows it."""

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """`docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_repository(self) -> str:
        """`busybox`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        short = self.path.removeprefix(OFFICIAL)
        return self.path if "/" in short else short

    @property
    def full(self) -> str:
        """`docker.io/library/busybox:latest`: the key of the index."""
        return self.repository + self._suffix

    @property
    def registry_tag(self) -> str:
        """What a registry is asked for: the digest when there is one, else the tag."""
        return self.digest or self.tag or DEFAULT_TAG

    def __str__(self) -> str:
        return self.familiar_repository + self._suffix

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return tag + (f"@{self.digest}" if self.digest else "")

    def pinned(self, digest: str) -> Reference:
        """The same repository by `digest` alone."""
        return Reference(self.domain, self.path, None, digest)


def parse(text: str) -> Reference:
    """The reference `text` stands for, defaults filled in.

    Raises
    ------
    InvalidReference
        With what is wrong, and what would be right when that can be told.
    """
    scheme, separator, rest = text.partition("://")
    if separator:
        hint = f"leave out `{scheme}://`: `{rest}`" if rest else ""
        raise _invalid(text, "it begins with a URL's scheme", hint)
    name, digest = _split_digest(text)
    name, tag = _split_tag(name)
    domain, path = _split_domain(name)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _invalid(text, f"{tag!r} is not a tag", "a tag is letters, digits, `_`, `.` and `-`")
    if digest is not None and not _DIGEST.fullmatch(digest):
        hint = "a digest is `sha256:` and 64 hex digits"
        raise _invalid(text, f"{digest!r} is not a digest", hint)
    if not _DOMAIN.fullmatch(domain):
        raise _invalid(text, f"{domain!r} is not a registry")
    if not _PATH.fullmatch(path):
        raise _invalid(text, *_path_trouble(name, path))
    if len(domain) + 1 + len(path) > MAX_NAME:
        raise _invalid(text[:40] + "…", f"it is longer than {MAX_NAME} characters")
    if re.fullmatch(r"[0-9a-f]{64}", name):
        raise _invalid(text, "64 hex digits are an id, not a name")
    if tag is None and digest is None:
        tag = DEFAULT_TAG
    return Reference(domain, path, tag, digest)


def familiar_repository(repository: str) -> str:
    """`busybox` for `docker.io/library/busybox`."""
    domain, _, path = repository.partition("/")
    return Reference(domain, path).familiar_repository


def id_prefix(text: str) -> str | None:
    """The hex digits when `text` may be (the beginning of) an image id, else None."""
    match = _ID.fullmatch(text)
    return match.group(1) if match else None


def is_digest(text: str) -> bool:
    """Whether `text` is a whole digest of an algorithm this engine checks."""
    return _DIGEST.fullmatch(text) is not None


def folder_hint(text: str) -> str:
    """A way out when `text` names a folder on disk, else an empty string."""
    try:
        is_folder = bool(text) and os.path.isdir(text)
    except ValueError:  # a NUL inside
        return ""
    return f"{text} is a folder; {EXAMPLE}" if is_folder else ""


def _split_digest(text: str) -> tuple[str, str | None]:
    name, at, digest = text.partition("@")
    return name, digest if at else None


def _split_tag(name: str) -> tuple[str, str | None]:
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag or (tag.endswith("]") and "[" in head):
        return name, None
    return head, tag


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_domain = bool(set(first) & set(".:[")) or first == "localhost" or first != first.lower()
    if not slash or not is_domain:
        return DEFAULT_DOMAIN, name if slash else OFFICIAL + name
    if first == LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = OFFICIAL + rest
    return first, rest


def _path_trouble(name: str, path: str) -> tuple[str, str]:
    if path != path.lower() and _PATH.fullmatch(path.lower()):
        return "names are lower case", f"did you mean `{name.lower()}`?"
    if not name.strip():
        return "it is empty", ""
    return f"{path.removeprefix(OFFICIAL)!r} is not a repository name", ""


def _invalid(text: str, reason: str, way_out: str = "") -> errors.InvalidReference:
    hint = folder_hint(text) or way_out or EXAMPLE
    if folder_hint(text):
        reason = "it is a folder on this machine"
    return errors.InvalidReference(f"invalid image name {text!r}: {reason}", way_out=hint)
