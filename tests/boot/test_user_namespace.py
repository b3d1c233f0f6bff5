"""A container with a user namespace on every board: ids, owners on the disk, devices, its control groups, an end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sampan.qemu.boot import Machine

pytestmark = pytest.mark.every_kernel

NAME = "mapped"
CONFIG = (
    "lxc.idmap = b 0 100000 65536",
    "lxc.mount.auto = proc:mixed sys:mixed cgroup:rw:force",
    "lxc.cgroup.devices.deny = a",
    *(f"lxc.cgroup.devices.allow = c {rule} rwm" for rule in ("1:3", "5:0", "5:1", "5:2", "136:*")),
)


def has_clocks(machine: Machine) -> bool:
    """Has the kernel time namespaces? 32-bit ARM has none."""
    return machine.run("test -e /proc/self/timens_offsets").status == 0


def maps_owners(machine: Machine) -> bool:
    """Has the kernel idmapped mounts? Since 5.12."""
    return tuple(map(int, machine.run("uname -r").output.split(".")[:2])) >= (5, 12)


@pytest.fixture
def host(machine: Machine) -> Iterator[Machine]:
    """The machine with the container running; it must end with nothing of it."""
    clocks = ["lxc.time.offset.boot = 1000h"] if has_clocks(machine) else []
    mapped = maps_owners(machine)
    owners = ["lxc.rootfs.options = idmap=container"] if mapped else []
    text = "".join(f"{line}\\n" for line in (*CONFIG, *owners, *clocks))
    machine.run(f"lxc-create -n {NAME} -t busybox && printf '{text}' >>/var/lib/lxc/{NAME}/config").check()
    if not mapped:
        machine.run(f"chown -hR 100000:100000 /var/lib/lxc/{NAME}/rootfs").check()
    try:
        machine.run(f"lxc-start -n {NAME}", timeout=60).check()
        yield machine
        machine.run(f"lxc-stop -n {NAME}", timeout=90).check()
        assert machine.run("ls /run/sampan; find /sys/fs/cgroup -name mapped").output == ""
    finally:
        machine.run(f"lxc-stop -n {NAME} -k; lxc-destroy -n {NAME}")


def inside(machine: Machine, script: str) -> list[str]:
    return machine.run(f"lxc-attach -n {NAME} -- /bin/sh -c '{script}'", timeout=60).output.split("\n")


def test_root_inside_is_nobody_outside(host: Machine) -> None:
    script = "id -u; touch /new; ls -ln /new /dev/console; echo x >/dev/null && echo null; "
    script += "head -c 1 /dev/zero || echo refused; mknod /tmp/n c 1 3 || echo no nodes; cut -d. -f1 /proc/uptime"
    seen = [line.strip() for line in inside(host, script) if "not permitted" not in line]
    assert (seen[0], *seen[3:6]) == ("0", "null", "refused", "no nodes"), seen
    assert [line.split()[2] for line in seen[1:3]] == ["0", "0"]
    assert not has_clocks(host) or int(seen[6]) >= 3600000
    owner = "0" if maps_owners(host) else "100000"
    assert host.run(f"ls -ln /var/lib/lxc/{NAME}/rootfs/new").output.split()[2] == owner
    pid = host.run(f"lxc-info -n {NAME} -pH").output.strip()
    assert host.run(f"grep Uid: /proc/{pid}/status").output.split()[1:] == ["100000"] * 4
    assert "true" in host.run(f"lxc-ls -f -F NAME,UNPRIVILEGED | grep {NAME}").output
