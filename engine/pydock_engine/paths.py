"""Where an engine keeps things: the store (survives a reboot) and the run directory (does not)."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The two roots of one engine and the names below them; making one touches no disk."""

    root: Path
    run: Path

    @classmethod
    def default(cls, root: str | os.PathLike[str] | None = None) -> Paths:
        """`root`, else $PYDOCK_ROOT, else the usual place of this user.

        The run directory is derived from the root when the root is not the usual one, so two
        engines on one machine never share a spawner.
        """
        usual = _usual_root()
        chosen = Path(root or os.environ.get("PYDOCK_ROOT") or usual).expanduser().absolute()
        run = Path(os.environ.get("PYDOCK_RUN") or _usual_run())
        if chosen != usual:
            run = run / hashlib.sha256(os.fsencode(chosen)).hexdigest()[:12]
        return cls(chosen, run)

    # the store
    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def ingest(self) -> Path:
        """Half-received blobs; whatever nobody holds a lock on may be removed."""
        return self.root / "ingest"

    @property
    def layers(self) -> Path:
        """Unpacked layers: `layers/sha256/<chain hex>/{diff/,layer.json}`."""
        return self.root / "layers"

    @property
    def layers_ingest(self) -> Path:
        return self.layers / "ingest"

    @property
    def containers(self) -> Path:
        return self.root / "containers"

    @property
    def database(self) -> Path:
        return self.root / "pydock.db"

    def blob(self, digest: str) -> Path:
        algorithm, _, hexadecimal = digest.partition(":")
        return self.blobs / algorithm / hexadecimal

    def layer(self, chain_id: str) -> Path:
        algorithm, _, hexadecimal = chain_id.partition(":")
        return self.layers / algorithm / hexadecimal

    def container(self, container_id: str) -> ContainerPaths:
        return ContainerPaths(self.containers / container_id, self.run / "c" / container_id[:24])

    # the run directory
    @property
    def spawner_socket(self) -> Path:
        return self.run / "spawner.sock"

    @property
    def spawner_lock(self) -> Path:
        return self.run / "spawner.lock"

    @property
    def spawner_log(self) -> Path:
        return self.run / "spawner.log"


@dataclass(frozen=True)
class ContainerPaths:
    """One container's two directories: `base` in the store, `run` in the run directory."""

    base: Path
    run: Path

    @property
    def config(self) -> Path:
        """The runtime-spec document the container was started from."""
        return self.base / "config.json"

    @property
    def state(self) -> Path:
        """What the monitor last knew; only the monitor writes it (atomic rename)."""
        return self.base / "state.json"

    @property
    def log(self) -> Path:
        """Docker's json-file log."""
        return self.base / "container.log"

    @property
    def snapshot(self) -> Path:
        """Holds `upper` and `work` of the overlay: one directory, so one id-mapped mount."""
        return self.base / "snapshot"

    @property
    def socket(self) -> Path:
        """Where the monitor listens."""
        return self.run / "monitor.sock"

    @property
    def rootfs(self) -> Path:
        """Mount point of the merged root, inside the monitor's own mount namespace only."""
        return self.run / "rootfs"


def _usual_root() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/pydock")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "pydock"


def _usual_run() -> Path:
    if os.geteuid() == 0:
        return Path("/run/pydock")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "pydock"
    return Path(f"/tmp/pydock-{os.geteuid()}")  # noqa: S108 - rundir.py refuses one not ours
