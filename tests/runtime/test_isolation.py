"""What a container must not have: privileges, the host's files, ways to reach either."""

from __future__ import annotations

import os

import pytest
from pydock_engine.container.defaults import MASKED_PATHS, READONLY_PATHS
from pydock_engine.runtime import capabilities

from tests.runtime.lab import Box

pytestmark = [pytest.mark.root, pytest.mark.userns]


def status_of(text: str) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_capabilities_are_dockers_fourteen(box: Box) -> None:
    status = status_of(box.sh("cat /proc/self/status"))
    expected = f"{capabilities.mask(capabilities.DEFAULT):016x}"
    assert len(capabilities.DEFAULT) == 14
    assert [status[name] for name in ("CapBnd", "CapPrm", "CapEff")] == [expected] * 3
    assert [status[name] for name in ("CapInh", "CapAmb")] == ["0" * 16] * 2


def test_ordinary_user_has_no_capabilities(box: Box) -> None:
    report = box.run("cat", "/proc/self/status", user="app")
    if report.error:
        pytest.skip(f"level {report.level} has no other users")
    status = status_of(report.stdout)
    assert [status[name] for name in ("CapPrm", "CapEff", "CapAmb")] == ["0" * 16] * 3
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Groups"].split() == ["29", "44"]


def test_no_new_privileges_unless_asked_for(box: Box) -> None:
    assert status_of(box.sh("cat /proc/self/status"))["NoNewPrivs"] == "1"
    asked = box.sh("cat /proc/self/status", no_new_privileges=False)
    assert status_of(asked)["NoNewPrivs"] == "0"


@pytest.mark.skipif(os.geteuid() != 0, reason="at level root only")
def test_root_inside_is_nobody_outside(private_box: Box) -> None:
    assert private_box.sh("cat /proc/self/uid_map").split() == ["0", "983040", "65536"]


def test_masked_paths_show_nothing(box: Box) -> None:
    script = "for p in %s; do [ -d $p ] && ls -A $p || cat $p; done 2>/dev/null; true"
    assert box.sh(script % " ".join(MASKED_PATHS)) == ""
    present = [path for path in MASKED_PATHS if os.path.exists(path)]
    mounted = {line.split()[4] for line in box.sh("cat /proc/self/mountinfo").splitlines()}
    assert present
    assert set(present) <= mounted


def test_kernel_settings_are_read_only(box: Box) -> None:
    present = [path for path in READONLY_PATHS if os.path.exists(path)]
    for line in box.sh("cat /proc/self/mountinfo").splitlines():
        fields = line.split()
        if fields[4] in present:
            present.remove(fields[4])
            assert "ro" in fields[5].split(",")
    assert present == []
    report = box.run("sh", "-c", "echo 1 > /proc/sys/kernel/panic")
    assert report.exit_code != 0
    assert "Read-only file system" in report.stderr


def test_mounts_are_the_containers_own_and_name_no_host_folder(box: Box) -> None:
    lines = box.sh("cat /proc/self/mounts").splitlines()
    places = [line.split()[1] for line in lines]
    assert places[0] == "/"
    host_words = ("/var/", "/home", "/tmp", "/run", str(box.paths.root))
    assert not [line for line in lines if any(word in line for word in host_words)]
    allowed = {"/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"}
    allowed |= {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    allowed |= {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
    allowed |= {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    assert set(places) <= allowed | set(MASKED_PATHS) | set(READONLY_PATHS)


def test_dev_has_the_harmless_devices_only(box: Box) -> None:
    core = "core " if os.path.exists("/proc/kcore") else ""
    names = core + "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert box.sh("ls /dev").split() == names.split()
    assert box.sh("echo gone > /dev/null; head -c 3 /dev/zero | wc -c").split() == ["3"]
    assert box.sh("ls /dev/pts").split() == ["ptmx"]


def test_devices_cannot_be_made_or_do_not_work(box: Box) -> None:
    major, minor = os.major(os.stat("/").st_dev), os.minor(os.stat("/").st_dev)
    for place in ("/tmp/disk", "/dev/disk", "/dev/shm/disk"):
        report = box.run("sh", "-c", f"mknod {place} b {major} {minor} && head -c 1 {place}")
        assert report.exit_code != 0
        # A namespace without CAP_MKNOD of its own stops at the first, nodev at the second.
        made = f"head: {place}: Permission denied" in report.stderr
        assert made == (box.userns == "host"), report.stderr
        assert made or "Operation not permitted" in report.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can put a device into a layer")
def test_devices_of_an_image_do_not_work(box: Box) -> None:
    disk = os.stat("/").st_dev
    os.mknod(box.diff / "disk", 0o060666, disk)
    (box.diff / "disk").chmod(0o666)
    report = box.run("head", "-c", "1", "/disk")
    assert report.exit_code != 0
    assert "Permission denied" in report.stderr


def test_nothing_of_the_host_can_be_unmounted_or_mounted(box: Box) -> None:
    for script in ("umount /proc/sys", "mount -t tmpfs none /tmp", "mount -o remount,rw /sys"):
        report = box.run("sh", "-c", script)
        assert report.exit_code != 0
        assert "ermi" in report.stderr  # permission denied, operation not permitted


def test_another_user_namespace_cannot_lift_the_masks(box: Box) -> None:
    script = "unshare -U -r -m sh -c 'umount /proc/keys' 2>&1 || echo held"
    assert "held" in box.sh(script)


def test_runtime_binary_cannot_be_reached_through_proc(box: Box) -> None:
    # CVE-2019-5736: an image whose command is /proc/self/exe runs the runtime itself.
    (box.diff / "bin" / "loop").symlink_to("/proc/self/exe")
    report = box.run("/bin/loop", "-c", "print('host interpreter')")
    assert "host interpreter" not in report.stdout
    script = "exec 3>>/proc/1/exe && echo opened"
    assert "opened" not in box.run("sh", "-c", script).stdout


def test_working_directory_cannot_be_a_leaked_descriptor(box: Box) -> None:
    # CVE-2024-21626
    for number in range(3, 12):
        report = box.run("sh", "-c", "pwd; ls", workdir=f"/proc/self/fd/{number}")
        assert report.exit_code != 0


def test_sysfs_is_read_only(box: Box) -> None:
    report = box.run("sh", "-c", "echo mem > /sys/power/state || mkdir /sys/x")
    assert report.exit_code != 0


def test_host_network_is_shared_only_when_asked_for(box: Box) -> None:
    shared = box.sh("readlink /proc/self/ns/net; ls /sys/class/net", network="host").split()
    assert shared[0] == os.readlink("/proc/self/ns/net")
    assert set(shared[1:]) == set(os.listdir("/sys/class/net"))
