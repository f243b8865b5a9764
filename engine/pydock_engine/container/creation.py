"""Making a container: its image here, its folder and plan written, its row added."""

from __future__ import annotations

import contextlib
import os
import secrets
import time

import msgspec

from .. import errors
from ..image.collection import Images
from ..image.records import OnProgress
from ..image.stored import StoredImage
from ..monitor.clock import now
from ..monitor.lock import lock_container
from ..oci.image import ContainerConfig
from ..paths import Paths
from ..spawner.client import Spawner
from ..store.containers import ContainerStore
from .names import check_name, random_name
from .options import RunOptions
from .plan import Plan, write_plan
from .program import argv, program_for_body
from .records import ContainerRecord
from .signals import stop_signal

NAME_ATTEMPTS = 12
FOLDER_WAIT_S = 10.0
"""How long others may keep taking a new folder for a leftover and removing it."""


class Creation:
    """How `Containers.create` does it. Killed anywhere it leaves at most a folder without a row."""

    def __init__(
        self, paths: Paths, images: Images, store: ContainerStore, spawner: Spawner
    ) -> None:
        self._paths = paths
        self._images = images
        self._store = store
        self._spawner = spawner

    def image_for(self, reference: str, on_progress: OnProgress | None = None) -> StoredImage:
        """The image called `reference` (the default one for ""), fetched when it is not here."""
        if not reference:
            return self._images.ensure_default(on_progress=on_progress)
        try:
            return self._images.get(reference)
        except errors.ImageNotFound:
            from ..image.local_python import DEFAULT_REFERENCE

            if reference == DEFAULT_REFERENCE:
                return self._images.ensure_default(on_progress=on_progress)
            self._images.pull(reference, on_progress=on_progress)
            return self._images.get(reference)

    def create(
        self,
        options: RunOptions,
        *,
        body: bytes | None,
        interpreter: str | None,
        on_progress: OnProgress | None,
    ) -> ContainerRecord:
        """The record of a new container.

        Raises
        ------
        UsageError
            The options make no sense together, or there is nothing to run.
        Conflict
            The name is taken.
        """
        image = self.image_for(options.image, on_progress)
        config = image.config.config or ContainerConfig()
        command = _command(options, config, body, interpreter)
        stop_signal(options, config)  # refused now rather than at the first stop
        plan = Plan(
            record=ContainerRecord(
                id=secrets.token_hex(32),
                name=check_name(options.name) if options.name else random_name(),
                image=image.reference,
                image_id=image.id,
                created_at=now(),
                command=command,
                options=options,
            ),
            image_config=config,
            lower=tuple(reversed(image.chain_ids)),
        )
        if options.with_env:
            plan = _with_env(plan, image)
        return self._add(plan)

    def _add(self, plan: Plan) -> ContainerRecord:
        """Folder, plan and row of `plan`; without the row nothing is left."""
        base = self._paths.container(plan.record.id).base
        try:
            lock = self._make_folder(plan.record.id)
            try:
                return self._insert(plan)
            except BaseException:
                _discard(base)
                raise
            finally:
                os.close(lock)
        except OSError as error:
            raise errors.disk_error(error, base) from error

    def _make_folder(self, container_id: str) -> int:
        """The lock of a new folder. Before it is locked it looks like a leftover to others."""
        own = self._paths.container(container_id)
        deadline = time.monotonic() + FOLDER_WAIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(FileExistsError):
                os.mkdir(own.base, 0o700)
            with contextlib.suppress(errors.NotFound, errors.Conflict):
                return lock_container(own, container_id)
            time.sleep(0.001)  # whoever removes it has a helper process do so
        raise errors.StoreError(f"the folder {own.base} is removed as soon as it is made")

    def _insert(self, plan: Plan) -> ContainerRecord:
        own = self._paths.container(plan.record.id)

        def prepare(record: ContainerRecord) -> None:
            write_plan(own, msgspec.structs.replace(plan, record=record))

        with_slot = plan.record.options.userns != "host" and self._spawner.level() == "root"
        record = plan.record
        for attempt in range(NAME_ATTEMPTS):
            try:
                return self._store.add(record, with_slot=with_slot, prepare=prepare)
            except errors.Conflict:
                if plan.record.options.name or attempt == NAME_ATTEMPTS - 1:
                    raise
                record = msgspec.structs.replace(record, name=random_name(attempt + 1))
        raise AssertionError("unreachable")


def _command(
    options: RunOptions, config: ContainerConfig, body: bytes | None, interpreter: str | None
) -> tuple[str, ...]:
    if body is None or options.command:
        if interpreter is not None:
            raise errors.UsageError("an interpreter needs a cell body and no command")
        return argv(options, config)
    return (*(options.entrypoint or ()), *program_for_body(body, config, interpreter))


def _with_env(plan: Plan, image: StoredImage) -> Plan:
    """The plan with this interpreter's own packages, which only its own image can import."""
    # Imported where it is needed: reading shared objects takes a library no other run wants.
    from ..image.interpreter import site_packages
    from ..image.local_python import check_is_local

    check_is_local(image)
    folders = site_packages()
    path = os.pathsep.join(folders)
    return msgspec.structs.replace(plan, site_packages=folders, extra_env=(f"PYTHONPATH={path}",))


def _discard(base: os.PathLike[str]) -> None:
    """A folder whose container was never added: nothing but a plan is in it."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(base, "plan.json"))
    with contextlib.suppress(OSError):
        os.rmdir(base)
