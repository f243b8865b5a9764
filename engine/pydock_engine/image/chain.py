"""Chain ids: one name for a whole stack of layers.

Source: OCI image-spec 1.1, config.md, "Layer ChainID".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """The chain id of each stack that ends with layer n, bottom first."""
    found: list[str] = []
    for diff_id in diff_ids:
        if found:
            pair = f"{found[-1]} {diff_id}".encode()
            found.append("sha256:" + hashlib.sha256(pair).hexdigest())
        else:
            found.append(diff_id)
    return tuple(found)
