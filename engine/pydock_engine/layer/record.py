"""`layer.json`: what is known of an unpacked layer. A layer is whole when this file is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from ..errors import StoreError
from ..image.records import LayerRecord


def write_record(folder: Path, record: LayerRecord) -> None:
    """Writes `folder/layer.json` in one step: nobody ever reads half of it."""
    temporary = folder / ".layer.json"
    temporary.write_bytes(msgspec.json.encode(record))
    os.chmod(temporary, 0o644)
    os.rename(temporary, folder / "layer.json")


def read_record(folder: Path) -> LayerRecord:
    """Raises StoreError when there is none, or a damaged one."""
    path = folder / "layer.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=LayerRecord)
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"not an unpacked layer: {folder} ({error})") from error


def escape(path: bytes) -> str:
    r"""A path as text JSON can carry: bytes that are not UTF-8 become `\xNN`."""
    return path.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def unescape(text: str) -> bytes:
    """The path `escape` was given."""
    return re.sub(
        rb"\\(\\|x[0-9a-f]{2})",
        lambda match: b"\\" if match[1] == b"\\" else bytes.fromhex(match[1][1:].decode()),
        text.encode(),
    )
