"""From a plan to a runtime-spec document, without touching anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydock_engine.container.options import BindMount, RunOptions
from pydock_engine.container.plan import Plan
from pydock_engine.container.records import ContainerRecord
from pydock_engine.container.spec import make_spec
from pydock_engine.container.user import ResolvedUser
from pydock_engine.errors import UsageError
from pydock_engine.oci.image import ContainerConfig
from pydock_engine.oci.runtime import Mount, Spec
from pydock_engine.paths import ContainerPaths
from pydock_engine.runtime.capabilities import DEFAULT
from pydock_engine.runtime.idmap import slot_mapping

IDENTITY = "0123456789abcdef" * 4
ROOT = ResolvedUser(home="/root")
PATHS = ContainerPaths(Path("/store/c"), Path("/run/c"))


def spec_of(
    config: ContainerConfig | None = None,
    user: ResolvedUser = ROOT,
    mappings: Any = None,
    **options: Any,
) -> Spec:
    record = ContainerRecord(
        id=IDENTITY,
        name="n",
        image="i",
        image_id="",
        created_at="",
        command=("prog", "arg"),
        options=RunOptions(image="i", **options),
    )
    plan = Plan(record=record, image_config=config or ContainerConfig(), lower=("sha256:a",))
    own = slot_mapping(0)
    return make_spec(
        plan,
        paths=PATHS,
        user=user,
        mappings=(own, own) if mappings is None else mappings,
        idmapped=mappings is None,
    )


def mount_at(spec: Spec, destination: str) -> Mount:
    return next(mount for mount in spec.mounts if mount.destination == destination)


def test_document_is_valid_json_that_reads_back_the_same() -> None:
    spec = spec_of(memory_bytes=64 << 20, tmpfs=("/t:size=1m",))
    text = msgspec.json.encode(spec)
    assert msgspec.json.decode(text, type=Spec) == spec
    document = msgspec.json.decode(text)
    assert document["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 524288, "size": 65536}]
    assert document["process"]["noNewPrivileges"] is True
    assert document["linux"]["resources"]["memory"] == {"limit": 64 << 20, "swap": 128 << 20}


def test_namespaces_follow_network_and_user_namespace() -> None:
    def names(spec: Spec) -> set[str]:
        return {namespace.type for namespace in spec.linux.namespaces}

    base = {"pid", "ipc", "uts", "mount", "cgroup"}
    assert names(spec_of()) == base | {"network", "user"}
    assert names(spec_of(network="host")) == base | {"user"}
    assert names(spec_of(mappings=((), ()))) == base | {"network"}


def test_capabilities_are_dockers_and_only_roots() -> None:
    root = spec_of().process.capabilities
    assert root
    assert (root.bounding, root.effective, root.permitted) == (DEFAULT, DEFAULT, DEFAULT)
    other = spec_of(user=ResolvedUser(uid=5)).process.capabilities
    assert other
    assert (other.bounding, other.effective, other.permitted) == (DEFAULT, (), ())
    assert root.inheritable == other.inheritable == root.ambient == ()


def test_groups_that_do_not_exist_in_the_namespace_are_left_out() -> None:
    user = ResolvedUser(additional_gids=(10, 70000))
    assert spec_of(user=user).process.user.additional_gids == (10,)
    assert spec_of(user=user, mappings=((), ())).process.user.additional_gids == (10, 70000)


def test_home_is_the_users_unless_set() -> None:
    assert "HOME=/root" in spec_of().process.env
    assert "HOME=/mine" in spec_of(env=("HOME=/mine",)).process.env


def test_workdir_is_the_options_then_the_images_then_root() -> None:
    config = ContainerConfig(working_dir="/img")
    assert spec_of(config, workdir="/opt/../x").process.cwd == "/x"
    assert spec_of(config).process.cwd == "/img"
    assert spec_of().process.cwd == "/"
    with pytest.raises(UsageError, match="--workdir rel"):
        spec_of(workdir="rel")


def test_binds_are_idmapped_only_where_ids_differ() -> None:
    volumes = (BindMount(source="/h", target="/c", read_only=True),)
    assert mount_at(spec_of(volumes=volumes), "/c").options == (
        "rbind",
        "nodev",
        "ro",
        "rprivate",
        "ridmap",
    )
    shared = spec_of(volumes=volumes, mappings=((), ()))
    assert mount_at(shared, "/c").options == ("rbind", "nodev", "ro", "rprivate")


def test_hosts_sysfs_is_bound_with_the_hosts_network() -> None:
    assert mount_at(spec_of(), "/sys").type == "sysfs"
    assert "ro" in mount_at(spec_of(network="host"), "/sys").options
    assert mount_at(spec_of(network="host"), "/sys").source == "/sys"


def test_tty_group_is_named_only_where_it_exists() -> None:
    assert "gid=5" in mount_at(spec_of(), "/dev/pts").options
    single = (slot_mapping(0)[0].__class__(container_id=0, host_id=0, size=1),)
    assert "gid=5" not in mount_at(spec_of(mappings=(single, single)), "/dev/pts").options


@pytest.mark.parametrize("limit", [0, -1, None])
def test_pids_limit_of_none_zero_or_less_is_no_limit(limit: int | None) -> None:
    assert spec_of(pids_limit=limit).linux.resources is None


def test_cpus_become_a_quota() -> None:
    resources = spec_of(cpus=0.5).linux.resources
    assert resources
    assert resources.cpu
    assert (resources.cpu.quota, resources.cpu.period) == (50_000, 100_000)
