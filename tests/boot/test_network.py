"""Containers with a network, on every board: over a bridge, and of the types a build host's kernel may lack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sampan.qemu.boot import Machine

pytestmark = pytest.mark.every_kernel

NAMES = ("neta", "netb")
CONFIG = "lxc.net.0.{}"


def links(machine: Machine) -> set[str]:
    """The host's interfaces."""
    return set(machine.run("ls /sys/class/net").output.split())


def configure(machine: Machine, name: str, *lines: str) -> None:
    """A container whose lxc.net.0 is what the lines say."""
    text = "".join(f"lxc.net.0.{line}\\n" for line in lines)
    machine.run(f"lxc-create -n {name} -t busybox && printf '{text}' >>/var/lib/lxc/{name}/config").check()


def inside(machine: Machine, name: str, command: str) -> str:
    return machine.run(f"lxc-attach -n {name} -- /bin/sh -c '{command}'").check().output


@pytest.fixture
def host(machine: Machine) -> Iterator[Machine]:
    """The machine with a bridge br0 and a cable cab0-cab1; it must end with no interface more."""
    machine.run("ip link add br0 type bridge && ip addr add 10.9.0.1/24 dev br0 && ip link set br0 up").check()
    machine.run("ip link add cab0 type veth && ip link set veth0 name cab1").check()  # busybox cannot name a peer
    machine.run("ip link set cab0 up && ip link set cab1 up").check()
    before = links(machine)
    try:
        yield machine
        for name in NAMES:
            machine.run(f"lxc-stop -n {name} -k")
        assert links(machine) == before
    finally:
        for name in NAMES:
            machine.run(f"lxc-stop -n {name} -k; lxc-destroy -n {name}")
        machine.run("ip link del br0; ip link del cab0")


def test_two_containers_and_the_host_over_a_bridge(host: Machine) -> None:
    for number, name in enumerate(NAMES, 2):
        lines = ("type = veth", "link = br0", "flags = up", "ipv4.gateway = auto")
        configure(host, name, *lines, f"ipv4.address = 10.9.0.{number}/24")
        host.run(f"lxc-start -n {name}").check()
    assert "1 packets received" in inside(host, "neta", "ping -c 1 -W 5 10.9.0.3")
    assert "1 packets received" in inside(host, "netb", "ping -c 1 -W 5 10.9.0.2")
    assert "1 packets received" in host.run("ping -c 1 -W 5 10.9.0.2").output
    assert "default via 10.9.0.1 dev eth0" in inside(host, "neta", "ip route")
    assert "10.9.0.2" in host.run("lxc-info -n neta -i").output


def test_old_keys_give_the_same_network(host: Machine) -> None:
    text = "type = veth|link = br0|flags = up|ipv4 = 10.9.0.2/24|name = lan|hwaddr = 02:00:00:00:00:77"
    lines = "".join(f"lxc.network.{line}\\n" for line in text.split("|"))
    host.run(f"lxc-create -n neta -t busybox && printf '{lines}' >>/var/lib/lxc/neta/config").check()
    host.run("lxc-start -n neta").check()
    assert "02:00:00:00:00:77" in inside(host, "neta", "ip link show lan")
    assert "1 packets received" in host.run("ping -c 1 -W 5 10.9.0.2").output


@pytest.mark.parametrize(
    ("kind", "lines"),
    [("macvlan", ("macvlan.mode = bridge",)), ("ipvlan", ("ipvlan.mode = l2",)), ("vlan", ("vlan.id = 77",))],
)
def test_types_that_hang_on_an_interface(host: Machine, kind: str, lines: tuple[str, ...]) -> None:
    """The other end of the cable is the network; a VLAN is tagged there."""
    other = "cab1.77" if kind == "vlan" else "cab1"
    if kind == "vlan":
        host.run("ip link add link cab1 name cab1.77 type vlan id 77 && ip link set cab1.77 up").check()
    host.run(f"ip addr add 10.8.0.1/24 dev {other}").check()
    configure(host, "neta", f"type = {kind}", "link = cab0", "flags = up", "ipv4.address = 10.8.0.2/24", *lines)
    host.run("lxc-start -n neta").check()
    assert "1 packets received" in host.run("ping -c 1 -W 5 10.8.0.2").output
    host.run(f"lxc-stop -n neta -k; ip addr del 10.8.0.1/24 dev {other}; ip link del cab1.77")


def test_an_interface_given_away_comes_back_also_from_the_dead(host: Machine) -> None:
    before = host.run("cat /sys/class/net/cab1/mtu /sys/class/net/cab1/address").check().output
    configure(host, "neta", "type = phys", "link = cab1", "name = wan", "mtu = 1400", "flags = up")
    host.run("lxc-start -n neta").check()
    assert "mtu 1400" in inside(host, "neta", "ip link show wan") and "cab1" not in links(host)
    host.run("kill -9 $(sed -n 's/supervisor \\([0-9]*\\) .*/\\1/p' /run/sampan/neta/state)").check()
    host.run("lxc-stop -n neta -k").check()
    assert host.run("cat /sys/class/net/cab1/mtu /sys/class/net/cab1/address").check().output == before


def test_a_bridge_that_masquerades(host: Machine) -> None:
    """One command; what is behind it reaches a network that knows no way back."""
    configure(host, "netb", "type = veth", "link = br0", "flags = up", "ipv4.address = 10.9.0.3/24")
    lines = ("type = veth", "link = lxcbr0", "flags = up", "ipv4.gateway = auto", "ipv4.address = 10.0.3.2/24")
    configure(host, "neta", *lines)
    host.run("lxc-start -n netb && lxc-net start && lxc-start -n neta").check()
    try:
        assert "1 packets received" in inside(host, "neta", "ping -c 1 -W 5 10.9.0.3")
        assert "10.0.3" not in inside(host, "netb", "ip route")
    finally:
        host.run("lxc-stop -n neta -k; lxc-net stop").check()
