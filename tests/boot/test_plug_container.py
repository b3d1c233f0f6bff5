"""A disk that is plugged in appears in the container that names it, and goes with it: QMP to device list."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions

PATIENCE = 120.0  #: seconds until the test gives up
CONFIG = (
    "lxc.rootfs.path = overlay:/:tmpfs\\nlxc.net.0.type = empty\\nlxc.cgroup.devices.deny = a\\n"
    "lxc.cgroup.devices.allow = c 1:3 rw\\nlxc.cgroup.devices.allow = /dev/vd[b-z] r optional\\n"
)


def until(machine: Machine, command: str) -> None:
    end = time.monotonic() + PATIENCE
    while not machine.run(command).ok:
        assert time.monotonic() < end, command
        time.sleep(0.1)


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_a_disk_comes_to_the_container_that_names_it(
    layout: str, tmp_path: Path, folder_of: Callable[[str], Path]
) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"plugged in".ljust(1 << 20, b"\0"))
    options = BootOptions(snapshot=True, ports=True, cgroup=layout, log=tmp_path / "console.log")
    with booted(folder_of("qemux86-64"), options) as machine:
        machine.run(f"mkdir -p /var/lib/lxc/plug && printf '{CONFIG}' >/var/lib/lxc/plug/config").check()
        machine.run("lxc-execute -d -n plug -- sleep 10000").check()
        assert machine.run("lxc-cgroup -n plug devices.list").output == "c 1:3 rw\n"
        for _ in range(2):
            plugged = machine.plug("block", disk)
            until(machine, "lxc-attach -n plug -- test -b /dev/vdb")
            assert machine.run("lxc-attach -n plug -- head -c 10 /dev/vdb").output == "plugged in"
            assert not machine.run("lxc-attach -n plug -- sh -c ': >>/dev/vdb'").ok, "to read alone"
            assert machine.run("lxc-cgroup -n plug devices.list | grep -c '^b .* r$'").output == "1\n"
            machine.unplug(plugged.id)
            until(machine, "! lxc-attach -n plug -- test -e /dev/vdb")
            assert machine.run("lxc-cgroup -n plug devices.list").output == "c 1:3 rw\n"
        machine.run("lxc-stop -k -n plug").check()
