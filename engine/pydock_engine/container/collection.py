"""`Engine.containers`: every container of the store, by docker-py's names. Start here."""

from __future__ import annotations

import builtins
import contextlib

import msgspec

from .. import errors
from ..image.collection import Images
from ..image.records import OnProgress
from ..paths import Paths
from ..spawner.client import Spawner
from ..store.containers import ContainerStore
from ..store.database import Database
from ..store.root import open_root
from .container import Container, Tools
from .creation import Creation
from .options import RunOptions
from .records import ContainerRecord, ContainerSummary, RunResult
from .removal import Removal
from .run import CAPTURE_BYTES, ForegroundRun, OnOutput, open_stdin


class Containers:
    """The containers of one engine. Making one touches no disk; methods may be called from any
    thread. A `name` is a container's name, its id, or the beginning of one.
    """

    def __init__(self, paths: Paths, database: Database, spawner: Spawner, images: Images) -> None:
        self._paths = paths
        self._spawner = spawner
        self._store = ContainerStore(database)
        self._creation = Creation(paths, images, self._store, spawner)
        self._removal = Removal(paths, self._store, spawner)
        self._tools = Tools(paths, spawner, self._removal)
        self._is_open = False

    def run(
        self,
        options: RunOptions,
        *,
        body: bytes | None = None,
        interpreter: str | None = None,
        stdin: int | None = None,
        on_output: OnOutput | None = None,
        on_progress: OnProgress | None = None,
        capture_bytes: int = CAPTURE_BYTES,
    ) -> RunResult:
        """Runs a container to its end, whatever its exit code (see `raise_for_status`).

        Parameters
        ----------
        options
            `detach` has no meaning here: see `run_detached`.
        body
            What the program reads from stdin. Without a command it is the program itself, run by
            `interpreter`, its `#!` line, or what the image's kind says.
        stdin
            A descriptor to hand to the program instead of a body.
        on_output
            Called in this thread with each piece of output as it comes.

        Raises
        ------
        KeyboardInterrupt
            When interrupted, after the program has been ended (INT, TERM, then a kill).
        ImageNotFound, RegistryError, UsageError, Conflict, CommandNotFound, Unsupported, …
            It could not be started; nothing of it is left with `rm`.
        """
        options = msgspec.structs.replace(options, detach=False)
        container = self.create(
            options, body=body, interpreter=interpreter, stdin=stdin, on_progress=on_progress
        )
        return self.run_created(container, on_output=on_output, capture_bytes=capture_bytes)

    def run_created(
        self,
        container: Container,
        *,
        on_output: OnOutput | None = None,
        capture_bytes: int = CAPTURE_BYTES,
    ) -> RunResult:
        """Like `run`, for a container that `create` has just made."""
        run = ForegroundRun(container.record, self._spawner, on_output, capture_bytes)
        try:
            with open_stdin(container.body, container.stdin) as stdin:
                return run.run(stdin)
        except BaseException:
            if container.record.options.rm:  # before it started, nobody else keeps that promise
                with contextlib.suppress(errors.PydockError):
                    container.remove()
            raise

    def run_detached(
        self,
        options: RunOptions,
        *,
        body: bytes | None = None,
        interpreter: str | None = None,
        stdin: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Container:
        """A container that runs on its own, whatever becomes of this process."""
        options = msgspec.structs.replace(options, detach=True)
        container = self.create(
            options, body=body, interpreter=interpreter, stdin=stdin, on_progress=on_progress
        )
        container.start()
        return container

    def create(
        self,
        options: RunOptions,
        *,
        body: bytes | None = None,
        interpreter: str | None = None,
        stdin: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Container:
        """A container that does not run yet; a missing image is fetched.

        `body` and `stdin` are kept by the returned object alone, for its first start.
        """
        self._open()
        record = self._creation.create(
            options, body=body, interpreter=interpreter, on_progress=on_progress
        )
        return Container(record, self._tools, body=body, stdin=stdin)

    def get(self, name: str) -> Container:
        """The container called `name`. Raises ContainerNotFound, UsageError (ambiguous)."""
        self._open()
        return self._container(self._store.get(name))

    def list(self, all: bool = False) -> builtins.list[Container]:
        """Running ones, newest first; `all` of them. Leftovers of killed processes are cleared."""
        self._open()
        records = self._store.list()
        self._removal.sweep(records)
        found = []
        for record in records:
            if self._removal.is_abandoned(record):
                self._removal.remove(record)
                continue
            container = self._container(record)
            if all or container.status == "running":
                found.append(container)
        return found

    def summaries(self, all: bool = False) -> builtins.list[ContainerSummary]:
        """`list` as records: the lines of `ls`."""
        return [container.summary() for container in self.list(all)]

    def remove(self, name: str, *, force: bool = False) -> None:
        """Takes a container away with everything it wrote; `force` kills it first.

        Raises
        ------
        ContainerNotFound
        Conflict
            It runs.
        """
        self.get(name).remove(force=force)

    def _container(self, record: ContainerRecord) -> Container:
        return Container(record, self._tools)

    def _open(self) -> None:
        if not self._is_open:
            open_root(self._paths)
            self._is_open = True
