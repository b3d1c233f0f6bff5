"""What the root file system promises a person: its devices, its disk, its end."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from sampan.build import image as images
from sampan.qemu.boot import Machine, booted, start
from sampan.qemu.machine import BootOptions


@pytest.fixture
def disk(quick: Path, tmp_path: Path) -> Path:
    """A data disk of one's own, empty."""
    copy = tmp_path / "data.ext4"
    shutil.copyfile(quick / images.load(quick).data.file, copy)
    return copy


def test_devices_terminals_and_secrets_are_as_on_any_linux(machine: Machine) -> None:
    listed = machine.run("ls -lnd /dev/null /dev/ptmx /dev/shm /etc/shadow /tmp").output.splitlines()
    table = {line.split()[-1]: line for line in listed}
    assert table["/dev/null"].startswith("crw-rw-rw-") and " 1,   3 " in table["/dev/null"]
    assert table["/dev/ptmx"].startswith("crw-rw-rw-") and " 5,   2 " in table["/dev/ptmx"]
    assert table["/etc/shadow"].startswith("-rw-------")
    assert table["/tmp"].startswith("drwxrwxrwt") and table["/dev/shm"].startswith("drwxrwxrwt")
    assert "gid=5,mode=620,ptmxmode=666" in machine.run("grep devpts /proc/mounts").output


def test_nothing_is_left_below_the_root(machine: Machine) -> None:
    """The initramfs was emptied: what `/` is moved onto holds nothing a container could reach."""
    assert machine.run("grep -c '^root / tmpfs' /proc/mounts").output.strip() == "1"
    assert machine.run("readlink /proc/1/exe").output.strip() == "/bin/busybox"
    # The memory of the initramfs is not held twice: what the root holds is all there is.
    used = int(machine.run("du -sxk /").output.split()[0])
    shared = machine.run("grep Shmem: /proc/meminfo").output.split()
    assert int(shared[1]) < 2 * used


def test_the_session_is_a_persons(machine: Machine) -> None:
    assert machine.run("hostname").output.strip() == machine.image.board
    assert machine.run("cat /etc/hostname").output.strip() == machine.image.board
    assert "127.0.0.1" in machine.run("ip addr show lo").output
    assert "UP" in machine.run("ip link show lo").output
    machine.run(": > /dev/tty").check()  # it has a controlling terminal, so Ctrl-C works


def test_all_controllers_are_there_for_children(machine: Machine) -> None:
    if "cgroup2 /sys/fs/cgroup" in machine.run("cat /proc/mounts").output:
        given = machine.run("cat /sys/fs/cgroup/cgroup.controllers").output.split()
        assert machine.run("cat /sys/fs/cgroup/cgroup.subtree_control").output.split() == given and "memory" in given
    else:
        rows = [line.split() for line in machine.run("cat /proc/cgroups").output.splitlines()[1:]]
        enabled = [name for name, _, _, on in rows if on == "1"]
        assert set(enabled) == set(machine.run("ls /sys/fs/cgroup").output.split()) and "devices" in enabled


def test_a_power_cut_costs_nothing_that_was_synced(quick: Path, disk: Path, tmp_path: Path) -> None:
    options = BootOptions(data=disk, log=tmp_path / "console.log")
    with booted(quick, options) as running:
        running.run("echo kept > /var/lib/lxc/file; sync; echo lost > /var/lib/lxc/other").check()
        running.kill()
    with booted(quick, options) as running:
        assert "recovery complete" in running.run("dmesg").output
        assert running.run("cat /var/lib/lxc/file").output == "kept\n"
        running.poweroff()


def test_poweroff_ends_what_runs_and_unmounts(quick: Path, disk: Path, tmp_path: Path) -> None:
    options = BootOptions(data=disk, log=tmp_path / "console.log")
    with booted(quick, options) as running:
        running.run("cd /var/lib/lxc; (trap '' TERM; exec > held; while :; do sleep 1; done) & cd /").check()
        assert running.poweroff().clean
    with booted(quick, options) as running:
        said = running.run("dmesg").output
        assert "mounted filesystem" in said and "recovery" not in said
        running.poweroff()


def test_a_broken_data_disk_is_said_and_left_alone(quick: Path, disk: Path, tmp_path: Path) -> None:
    with disk.open("r+b") as stream:
        stream.seek(4096)  # group descriptors
        stream.write(b"\xff" * 4096)
    before = disk.read_bytes()
    log = tmp_path / "console.log"
    with booted(quick, BootOptions(data=disk, log=log)) as running:
        assert " /var/lib/lxc tmpfs " in running.run("cat /proc/mounts").output
        running.poweroff()
    assert "cannot mount the data disk /dev/vda" in log.read_text()
    assert disk.read_bytes() == before


def test_a_disk_that_is_found_late_is_waited_for(quick: Path, disk: Path, tmp_path: Path) -> None:
    """As a card is. It comes when the scripts have long been looking for it, and before a login is there."""
    other = tmp_path / "other.img"
    other.write_bytes(bytes(1 << 20))
    options = BootOptions(data=other, ports=True, log=tmp_path / "console.log", append="sampan.data=600")
    with start(quick, options) as machine:
        machine.console.expect("/etc/init.d/rcS")
        time.sleep(5)
        machine.plug("block", disk)
        machine.login()
        assert "/dev/vdb /var/lib/lxc ext4 " in machine.run("cat /proc/mounts").output
        machine.poweroff()
    assert "sleep: " not in (tmp_path / "console.log").read_text()


def test_an_unknown_layout_names_the_known_ones(quick: Path, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    with booted(quick, BootOptions(snapshot=True, log=log, append="sampan.cgroup=v3")) as running:
        assert "cgroup2 /sys/fs/cgroup" in running.run("cat /proc/mounts").output
    assert "sampan.cgroup=v3: known are v1, v1-single, v2 and hybrid" in log.read_text()
