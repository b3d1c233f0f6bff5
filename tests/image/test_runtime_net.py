"""A container's network, compared value by value with what the kernel says in its namespace."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from net_lab import NetLab, need_kind, net_lab
from runtime_lab import need_host, wait_for

pytestmark = pytest.mark.both_ways

UP, MAC = 1, re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
INET, INET6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture
def net(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory, kernel: dict[str, str]) -> Iterator[NetLab]:
    need_host()
    yield from net_lab(runtime_binary, tmp_path_factory.mktemp("n"), kernel)


def outer(net: NetLab) -> str:
    """The host's end of the only veth."""
    found = net.host.names() - net.before
    assert len(found) == 1, found
    return found.pop()


def test_veth_on_a_bridge(net: NetLab) -> None:
    name, inside = net.start(
        "veth", "0.type = veth", "0.link = br0", "0.flags = up", "0.name = lan0", "0.hwaddr = 00:16:3e:xx:xx:0a",
        "0.ipv4.address = 10.9.0.2/24", "0.ipv4.address = 10.77.0.2/16 10.77.0.9", "0.ipv4.gateway = 10.9.0.1",
        "0.ipv6.address = fd09::2/64", "0.ipv6.gateway = fe80::1",
    )  # fmt: skip
    assert inside.names() == {"lo", "lan0"}
    link = inside.link("lan0")
    assert re.fullmatch("00:16:3e:[0-9a-f]{2}:[0-9a-f]{2}:0a", link.get("address"))
    assert link["flags"] & UP and link.get("mtu") == 1480, "the bridge's MTU"
    assert inside.data("lan0")[0] == "veth"
    assert inside.addresses("lan0") == {
        ("10.9.0.2", 24, "10.9.0.255"), ("10.77.0.2", 16, "10.77.0.9"), ("fd09::2", 64, None)
    }  # fmt: skip
    assert inside.routes(INET) == {
        ("default", "10.9.0.1", "lan0"), ("10.9.0.0/24", None, "lan0"), ("10.77.0.0/16", None, "lan0")
    }  # fmt: skip
    assert inside.routes(INET6) == {("default", "fe80::1", "lan0"), ("fd09::/64", None, "lan0")}
    end = net.host.link(outer(net))
    assert end["flags"] & UP and end.get("mtu") == 1480 and end.get("address").startswith("fe:")
    assert end.get("master") == net.host.link("br0")["index"]
    assert end.get("link") == link["index"]
    assert net.host.link("br0").get("address") == "02:00:00:00:00:01", "a bridge keeps its address"
    assert sorted(net.state(name)["ips"]) == ["10.77.0.2", "10.9.0.2", "fd09::2"]
    net.stop(name)


def test_defaults_are_a_free_name_and_down(net: NetLab) -> None:
    name, inside = net.start("plain", "0.type = veth", "1.type = veth", "1.mtu = 1300", "1.veth.pair = given")
    assert inside.names() == {"lo", "eth0", "eth1"}
    assert not inside.link("eth0")["flags"] & UP and inside.link("eth0").get("mtu") == 1500
    assert inside.link("eth1").get("mtu") == net.host.link("given").get("mtu") == 1300
    assert net.host.link("given").get("master") is None
    assert inside.addresses("eth0") == set() and inside.routes(INET) == set()
    assert MAC.fullmatch(inside.link("eth0").get("address"))
    net.stop(name)


def test_gateway_auto_and_dev(net: NetLab) -> None:
    name, inside = net.start(
        "auto", "0.type = veth", "0.link = br0", "0.flags = up", "0.ipv4.address = 10.9.0.2/24",
        "0.ipv4.gateway = auto", "0.ipv6.gateway = dev",
    )  # fmt: skip
    assert ("default", "10.9.0.1", "eth0") in inside.routes(INET)
    assert ("default", None, "eth0") in inside.routes(INET6)
    net.stop(name)
    said = net.refuse(
        "noauto", "0.type = veth", "0.link = cab0", "0.flags = up", "0.ipv4.address = 10.9.0.2/24",
        "0.ipv4.gateway = auto", "0.veth.mode = router",
    )  # fmt: skip
    assert "lxc.net.0: gateway = auto: address of cab0: Address not available" in said


def test_a_gateway_outside_of_the_network(net: NetLab) -> None:
    name, inside = net.start(
        "far", "0.type = veth", "0.flags = up", "0.ipv4.address = 10.5.0.2/32", "0.ipv4.gateway = 169.254.1.1"
    )
    assert inside.routes(INET) == {("169.254.1.1/32", None, "eth0"), ("default", "169.254.1.1", "eth0")}
    assert inside.addresses("eth0") == {("10.5.0.2", 32, None)}
    net.stop(name)


def test_router_mode(net: NetLab) -> None:
    name, inside = net.start(
        "router", "0.type = veth", "0.veth.mode = router", "0.veth.pair = out0", "0.flags = up", "0.link = cab0",
        "0.ipv4.address = 10.5.0.2/32", "0.ipv4.gateway = 169.254.1.1", "0.ipv6.address = fd05::2/128",
        "0.ipv6.gateway = fe80::9", "0.veth.ipv4.route = 192.168.70.5/24", "0.veth.ipv6.route = fd70::/48",
    )  # fmt: skip
    assert net.host.link("out0").get("master") is None
    assert {("10.5.0.2/32", None, "out0"), ("192.168.70.0/24", None, "out0")} <= net.host.routes(INET)
    assert {("fd05::2/128", None, "out0"), ("fd70::/48", None, "out0")} <= net.host.routes(INET6)
    assert net.host.proxies() == {("169.254.1.1", "out0"), ("fe80::9", "out0")}
    assert ("default", "169.254.1.1", "eth0") in inside.routes(INET)
    net.stop(name)
    assert net.host.proxies() == set() and not any(r[2] == "out0" for r in net.host.routes(INET))


def test_l2proxy_answers_on_the_link_and_stops_with_the_container(net: NetLab) -> None:
    lines = ("0.type = veth", "0.veth.mode = router", "0.link = cab0", "0.flags = up", "0.l2proxy = 1",
             "0.ipv4.address = 10.5.0.2/32")  # fmt: skip
    forwarding = ["nsenter", f"--net=/proc/{net.holder.pid}/ns/net", "tee", "/proc/sys/net/ipv4/conf/cab0/forwarding"]
    subprocess.run(forwarding, input=b"0", check=True)  # a new namespace begins with the host's value
    assert "/proc/sys/net/ipv4/conf/cab0/forwarding to be 1" in net.refuse("noproxy", *lines)
    subprocess.run(forwarding, input=b"1", check=True)
    name, _ = net.start("proxy", *lines)
    assert net.host.proxies() == {("10.5.0.2", "cab0")}
    net.stop(name)
    assert net.host.proxies() == set()


@pytest.mark.parametrize(("mode", "value"), [("private", 1), ("vepa", 2), ("bridge", 4), ("passthru", 8)])
def test_macvlan(net: NetLab, mode: str, value: int) -> None:
    need_kind("macvlan")
    name, inside = net.start(
        "mac", "0.type = macvlan", f"0.macvlan.mode = {mode}", "0.link = cab0", "0.name = mv0", "0.mtu = 1400",
        "0.hwaddr = 02:00:00:00:00:42", "0.flags = up", "0.ipv4.address = 10.6.0.2/24",
    )  # fmt: skip
    kind, data = inside.data("mv0")
    found = data["IFLA_MACVLAN_MODE"]
    assert kind == "macvlan" and found in (mode, value)
    link = inside.link("mv0")
    assert (link.get("mtu"), link.get("address")) == (1400, "02:00:00:00:00:42") and link["flags"] & UP
    assert link.get("link") == net.host.link("cab0")["index"]
    assert inside.addresses("mv0") == {("10.6.0.2", 24, "10.6.0.255")}
    net.stop(name)
    again, _ = net.start("again", "0.type = macvlan", f"0.macvlan.mode = {mode}", "0.link = cab0")  # at once
    net.stop(again)


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_ipvlan(net: NetLab, mode: str) -> None:
    need_kind("ipvlan")
    name, inside = net.start(
        "ipvlan", "0.type = ipvlan", f"0.ipvlan.mode = {mode}", "0.ipvlan.isolation = private", "0.link = cab0"
    )
    kind, data = inside.data("eth0")
    assert kind == "ipvlan" and ["l2", "l3", "l3s"].index(mode) == data["IFLA_IPVLAN_MODE"]
    assert data["IFLA_IPVLAN_FLAGS"] == 1
    net.stop(name)


def test_vlan(net: NetLab) -> None:
    need_kind("vlan")
    name, inside = net.start("vlan", "0.type = vlan", "0.vlan.id = 77", "0.link = cab0")
    assert inside.data("eth0") == ("vlan", {"IFLA_VLAN_ID": 77})
    net.stop(name)


def phys(net: NetLab) -> tuple[str, str]:
    mac = net.host.link("cab1").get("address")
    name, inside = net.start(
        "phys", "0.type = phys", "0.link = cab1", "0.name = wan", "0.mtu = 1234", "0.flags = up",
        "0.hwaddr = 02:00:00:00:00:77", "0.ipv4.address = 10.7.0.2/24",
    )  # fmt: skip
    link = inside.link("wan")
    assert (link.get("mtu"), link.get("address")) == (1234, "02:00:00:00:00:77") and link["flags"] & UP
    assert "cab1" not in net.host.names()
    return name, mac


def is_home(net: NetLab, mac: str) -> bool:
    link = net.host.links().get("cab1")
    return link is not None and (link.get("mtu"), link.get("address")) == (1500, mac)


def test_phys_is_handed_back_as_it_was(net: NetLab) -> None:
    name, mac = phys(net)
    net.stop(name)
    assert is_home(net, mac)


def test_phys_comes_back_at_the_stop_when_the_supervisor_was_killed(net: NetLab) -> None:
    name, mac = phys(net)
    net.kill_supervisor(name)
    net.stop(name)
    assert is_home(net, mac)


@pytest.mark.parametrize("verb", ["info", "start"])
def test_phys_comes_back_when_supervisor_and_container_were_killed(net: NetLab, verb: str) -> None:
    name, mac = phys(net)
    state = net.state(name)
    os.kill(state["supervisor"], signal.SIGKILL)
    os.kill(state["pid"], signal.SIGKILL)
    if verb == "info":
        wait_for(lambda: "STOPPED" in net.ok("info", name, "-s"))
        assert is_home(net, mac)
        return
    wait_for(lambda: net.run("start", name).returncode == 0)
    assert net.inside(name).link("wan").get("mtu") == 1234
    net.stop(name)
    assert is_home(net, mac)


def test_the_veth_goes_with_a_stop_after_the_supervisor_was_killed(net: NetLab) -> None:
    name, _ = net.start("orphan", "0.type = veth", "0.link = br0")
    end = outer(net)
    net.kill_supervisor(name)
    assert end in net.host.names()
    net.stop(name)
    assert end not in net.host.names()


def test_a_restart_makes_it_anew(net: NetLab) -> None:
    name = net.make("again", "0.type = veth", "0.veth.pair = fixed0", "1.type = phys", "1.link = cab1")
    net.ok("start", name)
    pid, index = net.state(name)["pid"], net.host.link("fixed0")["index"]
    net.ok("stop", "-r", name)
    wait_for(lambda: net.state(name)["pid"] not in (pid, None) and net.state(name)["state"] == "RUNNING")
    assert net.host.link("fixed0")["index"] != index
    assert net.inside(name).names() == {"lo", "eth0", "cab1"}
    net.stop(name)


def test_a_link_that_is_not_there_is_named_with_what_is(net: NetLab) -> None:
    said = net.refuse("nolink", "0.type = veth", "0.link = lxcbr0", "0.flags = up")
    assert re.search(r"config:\d+: lxc\.net\.0: link = lxcbr0: No such device\n", said)
    assert "hint: the host has lo" in said and " br0" in said and " cab0" in said


def test_what_cannot_be_made_leaves_nothing_of_the_others(net: NetLab) -> None:
    said = net.refuse("half", "0.type = veth", "0.link = br0", "1.type = veth", "1.veth.pair = br0")
    assert "lxc.net.1: make br0: File exists" in said
    said = net.refuse("notbridge", "0.type = veth", "0.link = cab0")
    assert "lxc.net.0.link = cab0 is no bridge" in said
    said = net.refuse("back", "0.type = phys", "0.link = cab1", "1.type = veth", "1.veth.pair = br0")
    assert "File exists" in said
    said = net.refuse("addr", "0.type = veth", "0.ipv4.address = 10.9.0.2/24", "0.ipv4.address = 10.9.0.2/24")
    assert "add address 10.9.0.2: File exists" in said


def test_a_container_that_cannot_run_leaves_no_interface(net: NetLab) -> None:
    name = net.make("nocommand", "0.type = veth", "0.link = br0", "1.type = phys", "1.link = cab1")
    assert net.run("execute", name, "-d", "--", "/bin/nosuch").returncode == 127
    assert net.host.names() == net.before


def test_many_interfaces_at_once(net: NetLab) -> None:
    name, inside = net.start("many", *(line for n in range(8) for line in (f"{n}.type = veth", f"{n}.link = br0")))
    assert inside.names() == {"lo", *(f"eth{n}" for n in range(8))}
    assert len(net.host.names() - net.before) == 8
    net.stop(name)


@pytest.mark.parametrize("version", [0, 1])
def test_scripts_are_told_what_lxc_tells_them(net: NetLab, version: int) -> None:
    said, script = net.lab.path / "said", net.lab.path / "script"
    names = "LXC_NAME LXC_HOOK_SECTION LXC_HOOK_TYPE LXC_NET_TYPE LXC_NET_PARENT LXC_NET_PEER"
    variables = " ".join(f"${name}" for name in names.split())
    script.write_text(f'#!/bin/sh\necho "$@" / {variables} >>{said}\n')
    script.chmod(0o755)
    name = net.make("script", "0.type = veth", "0.link = br0", "0.veth.pair = out0", f"0.script.up = {script}",
                    f"0.script.down = {script}", "1.type = empty", f"1.script.up = {script}")  # fmt: skip
    config = net.lab.lxc / name / "config"
    config.write_text(config.read_text() + f"lxc.hook.version = {version}\n")
    net.ok("start", name)
    net.stop(name)
    words = [
        f"net {when} {rest}" for when, rest in (("up", "veth br0 out0"), ("up", "empty"), ("down", "veth br0 out0"))
    ]
    lines = [f"{'' if version else f'{name} {word} '}/ {name} {word}" for word in words]
    assert said.read_text().splitlines() == lines


def test_a_script_that_fails_ends_the_start(net: NetLab) -> None:
    said = net.refuse("failing", "0.type = veth", "0.link = br0", "0.script.up = /bin/sh -c 'exit 3'")
    assert "script.up = /bin/sh -c 'exit 3': exit code 3" in said
