"""What init does to itself, seen from a plain process; and refusals that need no container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydock_engine.errors import SyscallError, Unsupported, UsageError
from pydock_engine.oci.runtime import IdMapping, Process, Rlimit
from pydock_engine.runtime import capabilities, idmap, process
from pydock_engine.runtime.steps import step

KEYRING = """
import os
from pathlib import Path
from pydock_engine.runtime import process
def sessions():
    return {line.split()[0] for line in Path("/proc/keys").read_text().splitlines()
            if " _ses" in line and " I--" in line[8:13]}
before = sessions()
process.new_session()
print(len(sessions() - before), os.getsid(0) == os.getpid())
"""


@pytest.mark.skipif(not Path("/proc/keys").exists(), reason="this kernel has no keys")
def test_session_and_keyring_are_new() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KEYRING], capture_output=True, text=True, timeout=30
    )
    assert (ended.stdout, ended.stderr) == ("1 True\n", "")


def test_slot_ranges_do_not_overlap_and_fit_32_bits() -> None:
    first, second = idmap.slot_mapping(0)[0], idmap.slot_mapping(1)[0]
    assert first.host_id + first.size == second.host_id
    last = idmap.slot_mapping(idmap.LAST_SLOT)[0]
    assert last.host_id + last.size <= 2**32 - 1
    for slot in (-1, idmap.LAST_SLOT + 1):
        with pytest.raises(ValueError, match="no id range"):
            idmap.slot_mapping(slot)


def test_ids_are_translated_or_refused() -> None:
    mappings = (
        IdMapping(container_id=0, host_id=1000, size=1),
        IdMapping(container_id=1, host_id=100000, size=10),
    )
    assert [idmap.to_host(mappings, inside) for inside in (0, 1, 10)] == [1000, 100000, 100009]
    assert idmap.to_host((), 77) == 77
    assert idmap.holds(mappings, 10)
    assert not idmap.holds(mappings, 11)
    with pytest.raises(Unsupported, match="id 11 does not exist in this container: it has 11"):
        idmap.to_host(mappings, 11)


def test_own_maps_are_read() -> None:
    assert idmap.identity_mapping("uid")[0].container_id == 0


def test_capability_names_are_in_the_kernels_order() -> None:
    assert capabilities.mask(["CAP_CHOWN"]) == 1
    assert capabilities.mask(["CAP_SYS_ADMIN"]) == 1 << 21
    assert capabilities.mask(["CAP_CHECKPOINT_RESTORE"]) == 1 << 40
    assert capabilities.last() < 64
    with pytest.raises(UsageError, match="unknown capability CAP_FLY"):
        capabilities.mask(["CAP_FLY"])


def test_unknown_limits_are_refused() -> None:
    wanted = Process(args=("x",), rlimits=(Rlimit(type="RLIMIT_WINGS", hard=1, soft=1),))
    with pytest.raises(UsageError, match="RLIMIT_WINGS"):
        process.apply_limits(wanted)


def test_limits_above_the_hard_one_are_told_with_their_name() -> None:
    above = Rlimit(type="RLIMIT_CORE", hard=1, soft=2)  # soft over hard: refused to anybody
    with pytest.raises(SyscallError, match="setrlimit RLIMIT_CORE"):
        process.apply_limits(Process(args=("x",), rlimits=(above,)))


def test_step_names_the_call_and_keeps_the_errno(tmp_path: Path) -> None:
    with (
        pytest.raises(SyscallError, match=r"open here: No such file") as caught,
        step("open", "here"),
    ):
        os.open(tmp_path / "missing", os.O_RDONLY)
    assert caught.value.facts["errno"] == 2
