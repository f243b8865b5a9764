"""What a monitor does before it can clone init, done once for nothing.

A forked child shares its parent's pages until it writes to them, and in CPython looking at an
object writes to it. A process that has gone through these motions owns the pages they need: page
faults of 3 µs each, some hundreds of them, that the start of a container does not wait for.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..container.options import RunOptions
from ..container.plan import Plan, decode, encode
from ..container.records import ContainerRecord, ContainerState
from ..container.spec import namespaces, resources
from ..oci.image import ContainerConfig
from ..paths import Paths
from ..protocol import messages
from ..protocol.channel import Channel
from ..runtime.cgroups.group import find_group
from ..runtime.idmap import slot_mapping
from . import state as states
from .log import LogWriter

ID = "0" * 64
NOWHERE = Paths(Path("/dev/null/root"), Path("/dev/null/run"))


def rehearse() -> None:
    """Touches no file but /dev/null; leaves nothing."""
    ours, theirs = Channel.pair()
    with ours, theirs:
        ours.send(messages.StartContainer(container_id=ID, attach=True))
        theirs.receive_with_fds()
        theirs.send(messages.Started(pid=1, isolation="root"))
        ours.receive()
    plan = decode(encode(_plan()))
    own = NOWHERE.container(ID)
    for path in (own.base, own.run, own.log, own.socket, own.state):
        os.path.lexists(path)
    states.boot_id()
    states.start_time(os.getpid())
    states.is_alive(ContainerState(status="running", boot_id=states.boot_id()))
    log = LogWriter(Path(os.devnull))
    log.write("stdout", b"a line\n")
    log.close()
    mappings = slot_mapping(0), slot_mapping(0)
    namespaces(plan.record.options, mappings)
    resources(plan.record.options)
    find_group(ID)


def _plan() -> Plan:
    record = ContainerRecord(
        id=ID,
        name="rehearsal",
        image="rehearsal",
        image_id="sha256:" + ID,
        created_at="",
        command=("true",),
        options=RunOptions(image="rehearsal", rm=True),
    )
    config = ContainerConfig(env=("PATH=/bin",), cmd=("true",))
    return Plan(record=record, image_config=config, lower=("sha256:" + ID,))
