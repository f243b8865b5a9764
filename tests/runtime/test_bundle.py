"""The same config.json run by this runtime and by runc: a program inside sees the same."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydock_engine.errors import Unsupported, UsageError
from pydock_engine.runtime.bundle import load_spec

from tests.runtime.lab import make_layer
from tests.support.packages import program_or_skip

OURS = "from pydock_engine.cli.oci import main; main()"

PROBE = """
id; pwd; hostname; umask; env | sort
grep -E '^(Cap|NoNewPrivs|Groups|SigIgn|SigBlk)' /proc/self/status
ls /dev | grep -v -x console
ls -l /dev/fd /dev/ptmx | sed 's/.*[0-9] //'
cut -d' ' -f2 /proc/self/mounts | grep -v '^/dev/' | sort
cat /proc/1/oom_score_adj; ls /proc/self/fd | wc -l
for p in /proc/kcore /proc/keys /sys/firmware; do [ -d $p ] && ls -A $p; [ -f $p ] && cat $p; done
echo 1 2>/dev/null > /proc/sys/kernel/panic || echo read-only
ls -d /proc/[0-9]*
exit 7
"""


@pytest.fixture
def bundle(short_path: Path) -> Path:
    """A bundle with a busybox root, its document as this project writes it."""
    from pydock_engine.paths import Paths

    made = make_layer(Paths(short_path / "store", short_path / "run"))
    folder = short_path / "bundle"
    folder.mkdir()
    made.rename(folder / "rootfs")
    for name in ("sed", "cut"):
        (folder / "rootfs/bin" / name).symlink_to("busybox")
    for name in ("proc", "sys", "dev"):
        (folder / "rootfs" / name).mkdir()
    write(folder, document())
    return folder


def document() -> dict[str, Any]:
    from pydock_engine.container import defaults
    from pydock_engine.runtime.capabilities import DEFAULT

    mounts = (defaults.PROC, defaults.DEV, defaults.devpts(with_tty_group=True), defaults.SYS)
    mounts += (defaults.MQUEUE, defaults.SHM)
    names = ("pid", "ipc", "uts", "mount", "network")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "args": ["sh", "-c", PROBE],
            "env": ["PATH=/bin", "A=b", "HOME=/root"],
            "cwd": "/home/app",
            "user": {"uid": 0, "gid": 0, "additionalGids": [10, 29], "umask": 0o27},
            "capabilities": {
                kind: list(DEFAULT) for kind in ("bounding", "effective", "permitted")
            },
            "noNewPrivileges": True,
            "oomScoreAdj": 100,
        },
        "root": {"path": "rootfs"},
        "hostname": "probe",
        "mounts": [
            {
                "destination": mount.destination,
                "type": mount.type,
                "source": mount.source,
                "options": list(mount.options),
            }
            for mount in mounts
        ],
        "linux": {
            "namespaces": [{"type": name} for name in names],
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
        },
    }


def write(bundle: Path, content: dict[str, Any]) -> None:
    (bundle / "config.json").write_text(json.dumps(content))


def run(*command: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    return ended.returncode, ended.stdout, ended.stderr


def run_ours(bundle: Path) -> tuple[int, str, str]:
    state = str(bundle.parent / "state")
    command = (sys.executable, "-c", OURS, "--root", state, "run", "--bundle", str(bundle))
    return run(*command, f"t{secrets.token_hex(8)}")


@pytest.mark.root
def test_program_sees_what_it_sees_under_runc(bundle: Path, short_path: Path) -> None:
    runc = program_or_skip("runc")
    state = short_path / "runc"
    theirs = run(
        runc, "--root", str(state), "run", "--bundle", str(bundle), f"t{secrets.token_hex(8)}"
    )
    ours = run_ours(bundle)
    assert theirs[0] == ours[0] == 7, (theirs, ours)
    assert ours[1].splitlines() == theirs[1].splitlines()
    assert "read-only" in ours[1]


@pytest.mark.root
def test_bundle_with_a_user_namespace(bundle: Path) -> None:
    content = document()
    mapping = [{"containerID": 0, "hostID": 0, "size": 65536}]
    content["linux"]["namespaces"].append({"type": "user"})
    content["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    content["process"]["args"] = ["cat", "/proc/self/uid_map"]
    write(bundle, content)
    status, out, err = run_ours(bundle)
    assert (status, out.split(), err) == (0, ["0", "0", "65536"], "")


@pytest.mark.root
def test_ordinary_user_keeps_ambient_capabilities(bundle: Path) -> None:
    content = document()
    kinds = ("bounding", "effective", "permitted", "inheritable", "ambient")
    content["process"]["capabilities"] = {kind: ["CAP_KILL"] for kind in kinds}
    content["process"] |= {"user": {"uid": 1000, "gid": 1000}, "args": ["cat", "/proc/self/status"]}
    write(bundle, content)
    status, out, err = run_ours(bundle)
    shown = [line.split()[1] for line in out.splitlines() if line.startswith("Cap")]
    assert (status, shown, err) == (0, ["0000000000000020"] * 5, "")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"vm": {"kernel": {"path": "/boot/vmlinuz"}}}, "vm"),
        ({"linux": {"intelRdt": {"closID": "x"}}}, "linux.intelRdt"),
        ({"mounts": [{"destination": "/x", "uidMappings": [{"size": 1}]}]}, "mounts\\[0\\].uidM"),
    ],
)
def test_unsupported_fields_are_refused_by_name(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    write(tmp_path, document() | change)
    with pytest.raises(Unsupported, match=named):
        load_spec(tmp_path)


def test_document_of_this_project_is_taken_whole(tmp_path: Path) -> None:
    write(tmp_path, document())
    assert load_spec(tmp_path).process.user.umask == 0o27


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"process": 1}', "\0"])
def test_what_is_no_document_is_a_usage_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UsageError, match=r"config\.json"):
        load_spec(tmp_path)


def test_missing_document_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_spec(tmp_path / os.fsdecode(b"nowhere"))
