"""What a program finds: process, users, namespaces, mounts, devices, groups."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from tests.conformance.lab import QUIET, Lab, config, mount

pytestmark = pytest.mark.root


def mounts(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [*config(["true"])["mounts"], *more]


def namespaces(*more: dict[str, str]) -> list[dict[str, str]]:
    kinds = {entry["type"] for entry in more}
    return [e for e in config(["true"])["linux"]["namespaces"] if e["type"] not in kinds] + [*more]


def test_process(lab: Lab) -> None:
    user = {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o27}
    script = "id -u; id -g; grep ^Groups: /proc/self/status; pwd; umask; env | sort; hostname"
    answer = lab.sh(script, process__user=user, process__cwd="/tmp/made", hostname="other")
    assert answer.err == ""
    assert [line.strip() for line in answer.lines] == [
        *("5", "6", "Groups:\t7 8", "/tmp/made", "0027"),
        *("A=b", "HOME=/", "PATH=/bin", "PWD=/tmp/made", "SHLVL=1", "other"),
    ]


def test_home_comes_from_passwd(lab: Lab) -> None:
    answer = lab.sh("echo $HOME", process__user={"uid": 7, "gid": 7})
    assert answer.out == "/home/app\n"


def test_capabilities_in_five_sets(lab: Lab) -> None:
    sets = {kind: ["CAP_KILL"] for kind in ("effective", "permitted", "inheritable", "ambient")}
    answer = lab.sh(
        "grep ^Cap /proc/self/status",
        process__capabilities={"bounding": ["CAP_KILL", "CAP_CHOWN"], **sets},
        process__user={"uid": 5, "gid": 5},
    )
    shown = dict(line.split() for line in answer.lines)
    only_kill = f"{1 << 5:016x}"
    assert shown == {
        **dict.fromkeys(("CapInh:", "CapPrm:", "CapEff:", "CapAmb:"), only_kill),
        "CapBnd:": f"{1 << 5 | 1:016x}",
    }


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_no_new_privileges_and_seccomp(lab: Lab, no_new_privileges: bool) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    }
    answer = lab.sh(
        "grep -E 'NoNew|Seccomp:' /proc/self/status; mkdir /tmp/x 2>&1",
        process__noNewPrivileges=no_new_privileges,
        linux__seccomp=profile,
    )
    assert answer.lines[:2] == [f"NoNewPrivs:\t{int(no_new_privileges)}", "Seccomp:\t2"]
    assert "No space left" in answer.lines[2]


def test_limits_and_oom_score(lab: Lab) -> None:
    answer = lab.sh(
        "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj",
        process__rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
        process__oomScoreAdj=123,
    )
    assert answer.lines == ["100", "200", "123"]


def test_namespaces_are_new_unless_they_are_not_listed(lab: Lab) -> None:
    names = ("pid", "ipc", "uts", "mnt", "net", "cgroup", "user")
    script = " && ".join(f"readlink /proc/self/ns/{name}" for name in names)
    inside = dict(zip(names, lab.sh(script).lines, strict=True))
    outside = {name: os.readlink(f"/proc/self/ns/{name}") for name in names}
    assert {name for name in names if inside[name] == outside[name]} == {"cgroup", "user"}


def test_namespaces_are_joined_by_path(lab: Lab) -> None:
    lab.write("sleep", "100")
    first = lab.create()
    pid = lab.state(first)["pid"]
    joined = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"}
    paths = [{"type": kind, "path": f"/proc/{pid}/ns/{name}"} for kind, name in joined.items()]
    script = " && ".join(f"readlink /proc/self/ns/{name}" for name in joined.values())
    answer = lab.sh(script, linux__namespaces=namespaces(*paths))
    assert answer.err == ""
    assert answer.lines == [os.readlink(f"/proc/{pid}/ns/{name}") for name in joined.values()]


def test_a_user_namespace_whose_root_cannot_reach_the_bundle(own: Lab) -> None:
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    answer = own.sh(
        "cat /proc/self/uid_map; id -u; echo x > /dev/null && ls /dev/null; hostname",
        linux__namespaces=namespaces({"type": "user"}),
        linux__uidMappings=mapping,
        linux__gidMappings=mapping,
    )
    assert answer.err == ""
    assert answer.lines[0].split() == ["0", "100000", "65536"]
    assert answer.lines[1:] == ["0", "/dev/null", "probe"]


def test_binds_and_their_options(lab: Lab) -> None:
    source = lab.folder / "source"
    (source / "inner").mkdir(parents=True)
    (source / "file").write_text("text")
    more = [
        mount("/rw", "bind", ["rbind"], str(source)),
        mount("/ro", "bind", ["bind", "ro", "noexec", "nosuid", "nodev"], str(source)),
        mount("/etc/one", "none", ["bind"], str(source / "file")),
    ]
    script = "echo new > /rw/made; touch /ro/x 2>&1; cat /etc/one; echo; grep ' /ro ' /proc/mounts"
    answer = lab.sh(script, mounts=mounts(*more))
    assert (source / "made").read_text() == "new\n"
    assert "Read-only" in answer.lines[0]
    assert answer.lines[1] == "text"
    assert {"ro", "noexec", "nosuid", "nodev"} <= set(answer.lines[2].split()[3].split(","))


@pytest.mark.parametrize(
    ("word", "tag"), [("rprivate", ""), ("rslave", "master:"), ("rshared", "shared:")]
)
def test_propagation(lab: Lab, word: str, tag: str) -> None:
    source = lab.folder / "shared"
    source.mkdir()
    script = f'mount --bind {source} {source} && mount --make-shared {source} && exec "$@"'
    lab.write(
        "sh", "-c", "grep ' /in ' /proc/self/mountinfo",
        mounts=mounts(mount("/in", "bind", ["rbind", word], str(source))),
    )  # fmt: skip
    inner = Lab(["unshare", "-m", "sh", "-c", script, "sh", *lab.command], lab.folder)
    answer = inner.call("run", "--bundle", str(lab.bundle), lab.new_id())
    assert answer.err == ""
    optional = answer.out.partition(" - ")[0].split()[6:]
    assert any(entry.startswith(tag) for entry in optional) == bool(tag)


def test_tmpfs_with_data_and_copy_of_what_was_there(lab: Lab) -> None:
    (lab.rootfs / "had" / "deep").mkdir(parents=True)
    (lab.rootfs / "had" / "deep" / "file").write_text("kept")
    os.chown(lab.rootfs / "had" / "deep" / "file", 5, 6)
    more = [
        mount("/small", "tmpfs", ["size=64k", "mode=0711"]),
        mount("/had", "tmpfs", ["tmpcopyup"]),
    ]
    script = "stat -c %a /small; grep -c ' /had tmpfs' /proc/mounts; cat /had/deep/file; echo;"
    script += "stat -c %u:%g /had/deep/file"
    answer = lab.sh(script, mounts=mounts(*more))
    assert answer.lines == ["711", "1", "kept", "5:6"]


def test_links_of_the_image_lead_nowhere_outside(lab: Lab) -> None:
    outside = lab.folder / "outside"
    outside.mkdir()
    (lab.rootfs / "link").symlink_to(outside)
    (lab.rootfs / "up").symlink_to("../../../../../..")
    source = lab.folder / "source"
    source.mkdir()
    more = [
        mount("/link/made", "bind", ["bind"], str(source)),
        mount(f"/up{outside}/two", "bind", ["bind"], str(source)),
    ]
    assert lab.sh("true", mounts=mounts(*more)).status == 0
    assert list(outside.iterdir()) == []


def test_nothing_is_mounted_inside_proc(lab: Lab) -> None:
    source = lab.folder / "source"
    source.mkdir()
    more = mount("/proc/self/attr", "bind", ["bind"], str(source))
    assert lab.sh("true", mounts=mounts(more)).status != 0


def test_devices(lab: Lab) -> None:
    devices = [
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5},
        {"path": "/dev/deep/disk", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600},
    ]
    rules = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}]
    script = "stat -c '%F %a %u %t:%T' /dev/mine /dev/deep/disk; head -c 2 /dev/mine | wc -c;"
    script += "for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo no $d; done;"
    script += "head -c 1 /dev/deep/disk 2>&1; for l in fd stdin ptmx; do readlink /dev/$l; done"
    answer = lab.sh(script, linux__devices=devices, linux__resources={"devices": rules})
    assert answer.lines[:3] == [
        "character special file 640 5 1:5",
        "block special file 600 0 7:c8",
        "2",
    ]
    assert "not permitted" in answer.lines[3]
    assert answer.lines[4:] == ["/proc/self/fd", "/proc/self/fd/0", "pts/ptmx"]


def test_masked_and_read_only_paths(lab: Lab) -> None:
    script = "cat /proc/kcore | wc -c; ls -A /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/panic"
    answer = lab.sh(script)
    assert answer.lines == ["0", "0"]
    assert "Read-only" in answer.err


def test_a_read_only_root(lab: Lab) -> None:
    answer = lab.sh("touch /x; touch /dev/shm/y", root__readonly=True)
    assert answer.err.count("Read-only") == 1


def test_sysctl_of_its_own_namespaces(lab: Lab) -> None:
    settings = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}
    script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced"
    assert lab.sh(script, linux__sysctl=settings).lines == ["1", "1"]


def test_limits_hold_and_can_be_changed(lab: Lab) -> None:
    resources = {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 512}}
    lab.write("sleep", "100", linux__resources=resources)
    name = lab.create()
    pid = lab.state(name)["pid"]
    assert read_group(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert read_group(pid, "pids", "pids.max", "pids.max") == "20"
    changed = lab.call("update", "--memory", str(80 << 20), "--pids-limit", "30", name)
    assert changed.status == 0, changed.err
    assert read_group(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(80 << 20)
    assert read_group(pid, "pids", "pids.max", "pids.max") == "30"


def read_group(pid: int, controller: str, v1: str, v2: str) -> str:
    """A file of the group that process `pid` is in, wherever `controller` is mounted."""
    with open(f"/proc/{pid}/cgroup") as file:
        groups = dict(line.strip().split(":", 2)[1:] for line in file)
    if controller in groups:
        path = f"/sys/fs/cgroup/{controller}{groups[controller]}/{v1}"
    else:
        path = f"/sys/fs/cgroup{groups['']}/{v2}"
    with open(path) as file:
        return file.read().strip()


@pytest.mark.parametrize("own_namespace", [True, False])
def test_the_view_of_groups(lab: Lab, own_namespace: bool) -> None:
    more = mount("/sys/fs/cgroup", "cgroup", [*QUIET, "ro"])
    script = (
        "for f in /sys/fs/cgroup/pids /sys/fs/cgroup; do [ -f $f/cgroup.procs ] && break; done;"
    )
    script += "cat $f/cgroup.procs | wc -l; touch $f/x 2>&1 | grep -o -E 'Read-only|denied'"
    kinds = namespaces({"type": "cgroup"}) if own_namespace else namespaces()
    answer = lab.sh(script, mounts=mounts(more), linux__namespaces=kinds)
    assert int(answer.lines[0]) >= 1
    assert answer.lines[1:] == ["Read-only"]


def test_the_terminal_arrives_at_the_console_socket(lab: Lab) -> None:
    import socket

    lab.write("sh", "-c", "tty; [ -c /dev/console ] && echo console", process__terminal=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(lab.folder / "console"))
        listener.listen(1)
        listener.settimeout(30)
        name = lab.create("--console-socket", str(lab.folder / "console"))
        connection, _ = listener.accept()
        with connection:
            _data, fds, _flags, _address = socket.recv_fds(connection, 4096, 1)
    master = fds[0]
    assert stat.S_ISCHR(os.fstat(master).st_mode)
    assert lab.call("start", name).status == 0
    said = b""
    while b"console" not in said:
        said += os.read(master, 4096)
    os.close(master)
    assert said.split() == [b"/dev/pts/0", b"console"]
