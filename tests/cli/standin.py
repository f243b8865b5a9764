"""A stand-in for `Engine`: programs run as plain subprocesses, images are a scripted list.

Same names, arguments, records and errors as the real one where the grammar and the magics meet
it; tests/magic/test_scenarios.py runs the same cells on both.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from pydock_engine.container.options import RunOptions
from pydock_engine.container.program import argv, program_for_body
from pydock_engine.container.records import ContainerSummary, RunResult
from pydock_engine.errors import Conflict, ContainerNotFound, ImageNotFound
from pydock_engine.image.records import (
    HistoryEntry,
    ImageRemoval,
    ImageSummary,
    LayerInfo,
    PullProgress,
)
from pydock_engine.oci.image import ContainerConfig

DIGEST = "sha256:" + "ab" * 32
DIFF_ID = "sha256:" + "cd" * 32
CREATED = "2024-05-06T07:08:09.123456789Z"
DEFAULT = "local/python:3.11"


def image_summary(reference: str) -> ImageSummary:
    repository, _, tag = reference.rpartition(":")
    return ImageSummary(
        reference=reference,
        repository=repository,
        tag=tag,
        id=DIGEST,
        digest="sha256:" + "ef" * 32,
        platform="linux/amd64",
        created=CREATED,
        size_bytes=4_261_502,
        layers=2,
    )


class StandInImages:
    def __init__(self) -> None:
        self.here = {"busybox:latest": ContainerConfig(cmd=("sh",))}
        self.in_registry = {"debian:12": ContainerConfig(cmd=("bash",))}
        self.steps = 3

    def pull(
        self,
        reference: str,
        *,
        platform: str | None = None,
        on_progress: Callable[[PullProgress], None] | None = None,
    ) -> ImageSummary:
        if reference not in self.in_registry:
            raise ImageNotFound(f"no image {reference} in its registry", way_out="check the name")
        for step in range(self.steps + 1):
            if on_progress is not None:
                phase = "done" if step == self.steps else "downloading"
                on_progress(
                    PullProgress(digest=DIGEST, phase=phase, current=step, total=self.steps)
                )
        self.here[reference] = self.in_registry[reference]
        return image_summary(reference)

    def ensure_default(self, on_progress: Any = None) -> Any:
        self.here.setdefault(DEFAULT, ContainerConfig(cmd=(sys.executable,)))
        return self.get(DEFAULT)

    def list(self) -> list[ImageSummary]:
        return [image_summary(reference) for reference in sorted(self.here)]

    def get(self, reference: str) -> Any:
        name = reference if ":" in reference else f"{reference}:latest"
        if name not in self.here:
            raise ImageNotFound(f"no such image: {name}", way_out=f"%image pull {name}")
        config = SimpleNamespace(config=self.here[name])
        return SimpleNamespace(reference=name, id=DIGEST, config=config)

    def history(self, reference: str) -> list[HistoryEntry]:
        self.get(reference)
        made = {"created": CREATED, "comment": ""}
        return [
            HistoryEntry(
                created_by="ADD rootfs.tar / # buildkit",
                size_bytes=4_261_502,
                diff_id=DIFF_ID,
                digest=DIGEST,
                empty_layer=False,
                **made,
            ),
            HistoryEntry(
                created_by='CMD ["sh"]',
                size_bytes=None,
                diff_id=None,
                digest=None,
                empty_layer=True,
                **made,
            ),
        ]

    def layers(self, reference: str) -> list[LayerInfo]:
        self.get(reference)
        return [
            LayerInfo(
                index=0,
                digest=DIGEST,
                diff_id=DIFF_ID,
                chain_id=DIFF_ID,
                size_bytes=4_261_502,
                compressed_bytes=2_100_000,
                files=412,
                created_by="ADD rootfs.tar / # buildkit",
                shared_with=("team/tools:1",),
            )
        ]

    def inspect(self, reference: str) -> dict[str, Any]:
        name = self.get(reference).reference
        return {"Id": DIGEST, "RepoTags": [name], "Config": {"Cmd": ["sh"], "Env": ["A=b"]}}

    def remove(self, reference: str) -> ImageRemoval:
        del self.here[self.get(reference).reference]
        return ImageRemoval(untagged=(reference,), deleted=(DIGEST,), freed_bytes=2_100_000)


class StandInContainers:
    def __init__(self, images: StandInImages) -> None:
        self._images = images
        self.rows: dict[str, ContainerSummary] = {}
        self.logged: dict[str, list[Any]] = {}
        self.seen: list[RunOptions] = []

    def run(
        self,
        options: RunOptions,
        *,
        body: bytes | None = None,
        interpreter: str | None = None,
        stdin: int | None = None,
        on_output: Callable[[str, bytes], None] | None = None,
    ) -> RunResult:
        self.seen.append(options)
        row = self._add(options)
        words, given = self._program(options, body, interpreter)
        began = time.monotonic()
        timed_out = False
        try:
            done = subprocess.run(
                words, input=given, capture_output=True, timeout=options.timeout_s, check=False
            )
            code, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as expired:
            timed_out, code = True, 143
            out, err = expired.stdout or b"", expired.stderr or b""
        for stream, data in (("stdout", out), ("stderr", err)):
            if data:
                entry = SimpleNamespace(stream=stream, data=data, time=CREATED)
                self.logged[row.id].append(entry)
                if on_output is not None:
                    on_output(stream, data)
        self._end(row, code, options.rm)
        return RunResult(
            exit_code=code if code >= 0 else 128 - code,
            stdout=out.decode("utf-8", "replace"),
            stderr=err.decode("utf-8", "replace"),
            duration_s=time.monotonic() - began,
            oom_killed=False,
            timed_out=timed_out,
            container_id=row.id,
            name=row.name,
            image=row.image,
            isolation="root",
            not_applied=("--memory",) if options.best_effort and options.memory_bytes else (),
        )

    def run_detached(self, options: RunOptions, **_: Any) -> StandInContainer:
        self.seen.append(options)
        return StandInContainer(self, self._add(options).id)

    def summaries(self, all: bool = False) -> list[ContainerSummary]:
        return [row for row in self.rows.values() if all or row.status == "running"]

    def get(self, name: str) -> StandInContainer:
        return StandInContainer(self, self._row(name).id)

    def remove(self, name: str, *, force: bool = False) -> None:
        row = self._row(name)
        if row.status == "running" and not force:
            raise Conflict(f"container {name} is running", way_out="stop it first, or use --force")
        del self.rows[row.id]

    def _program(
        self, options: RunOptions, body: bytes | None, interpreter: str | None
    ) -> tuple[tuple[str, ...], bytes]:
        config = self._images.get(options.image).config.config
        if body and not options.command:
            return program_for_body(body, config, interpreter), body
        return argv(options, config), body or b""

    def _add(self, options: RunOptions) -> ContainerSummary:
        number = len(self.logged) + 1
        name = options.name or f"brave_euler{number}"
        if any(row.name == name for row in self.rows.values()):
            raise Conflict(f"the container name {name} is already in use")
        row = ContainerSummary(
            id=f"{number:064x}",
            name=name,
            image=options.image,
            command=" ".join(options.command),
            created_at=CREATED,
            status="running",
            exit_code=None,
            started_at=CREATED,
            finished_at="",
            isolation="root",
        )
        self.rows[row.id] = row
        self.logged[row.id] = []
        return row

    def _end(self, row: ContainerSummary, code: int, rm: bool) -> None:
        if rm:
            del self.rows[row.id]
        else:
            self.rows[row.id] = msgspec.structs.replace(
                row, status="exited", exit_code=code, finished_at=CREATED
            )

    def _row(self, name: str) -> ContainerSummary:
        for row in self.rows.values():
            if name == row.name or row.id.startswith(name):
                return row
        raise ContainerNotFound(f"no such container: {name}", way_out="see `%container ls -a`")


class StandInContainer:
    def __init__(self, containers: StandInContainers, identifier: str) -> None:
        self._containers = containers
        self.id = identifier

    def __getattr__(self, name: str) -> Any:
        return getattr(self._containers.rows[self.id], name)

    @property
    def short_id(self) -> str:
        return self.id[:12]

    def inspect(self) -> dict[str, Any]:
        return {"Id": self.id, "Name": f"/{self.name}", "State": {"Status": self.status}}

    def output(self, *, follow: bool = False, tail: int | None = None) -> Iterator[Any]:
        return iter(self._containers.logged[self.id])

    @property
    def paths(self) -> Any:
        return SimpleNamespace(base=Path("/"))

    def start(self) -> None:
        pass

    def stop(self, timeout: float = 10.0, *, signal: int | None = None) -> None:
        self._containers._end(self._containers.rows[self.id], 143, rm=False)

    def kill(self, signal: int = 9) -> None:
        self._containers._end(self._containers.rows[self.id], 128 + signal, rm=False)

    def wait(self) -> int:
        return self.exit_code or 0


class StandInEngine:
    def __init__(self, root: str | None = None) -> None:
        self.root = root
        self.images = StandInImages()
        self.containers = StandInContainers(self.images)
