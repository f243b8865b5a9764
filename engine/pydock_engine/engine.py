"""`Engine`: the one object behind the notebook, the shell and, later, the API."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from . import __version__, isolation
from .container.collection import Containers
from .image.collection import Images
from .paths import Paths
from .spawner.client import Spawner
from .store.database import Database


class SystemInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `system info` shows."""

    version: str
    level: str
    """root, rootless, rootless-single or none."""
    root: str
    """Where images and containers are kept."""
    run: str
    """Where sockets are."""
    spawner_pid: int
    facts: dict[str, str]


class Engine:
    """One store and everything in it. Making one starts no process and touches no disk."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.paths = Paths.default(root)
        self.database = Database(self.paths.database)
        self.spawner = Spawner(self.paths)
        self.images = Images(self.paths, self.database, self.spawner)
        self.containers = Containers(self.paths, self.database, self.spawner, self.images)

    def __repr__(self) -> str:
        return f"<Engine {self.paths.root}>"

    def system_info(self) -> SystemInfo:
        """The engine and what this machine can do; starts the spawner, which alone knows."""
        welcome = self.spawner.welcome()
        root = Path(self.paths.root)
        return SystemInfo(
            version=__version__,
            level=welcome.level,
            root=str(root),
            run=str(self.paths.run),
            spawner_pid=welcome.pid,
            facts=isolation.facts(welcome.level, welcome.reason, root),
        )
