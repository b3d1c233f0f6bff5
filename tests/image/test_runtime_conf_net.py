"""The network in the configuration: what each line comes to, and what each mistake is answered with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from runtime_tools import READER, build

from sampan.config import load

VETH = "lxc.net.0.type = veth\n"


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("conftool"), "conftool", "tests/conftool.c", READER)


def said_on_the_host(config: Path) -> list[str]:
    """The same messages by the checker of the host."""
    found = [message for message in load.load(config).messages if message.level != "note"]
    return [line for message in found for line in str(message).replace(str(config), "config").splitlines()]


def read(tool: Path, folder: Path, text: str) -> tuple[list[str], str]:
    """The fields that were read, and what was said."""
    (folder / "config").write_text(text)
    done = subprocess.run([tool, "config"], cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode == 0) == (done.stdout.partition("errors=")[1] == ""), done.stderr
    assert said_on_the_host(folder / "config") == [line for line in done.stderr.splitlines() if ": note: " not in line]
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("link = lxcbr0", "nic0=3 link=lxcbr0 name= pair= modes=0,0,1,0 proxy=0"),
        ("name = abcdefghijklmno", "nic0=3 link= name=abcdefghijklmno pair= modes=0,0,1,0 proxy=0"),
        ("veth.pair = h.a-b_c@1", "nic0=3 link= name= pair=h.a-b_c@1 modes=0,0,1,0 proxy=0"),
        ("veth.mode = router", "nic0=3 modes=1,0,1,0 proxy=0"),
        ("hwaddr = 00:16:3e:Xx:aB:x0", "nic0=3 mac=00163e00ab00/4c0 modes=0,0,1,0 proxy=0"),
        ("mtu = 9000", "nic0=3 mtu=9000 vlan=-1 queues=-1,-1 modes=0,0,1,0 proxy=0"),
        ("veth.n_rxqueues = 4", "nic0=3 mtu=-1 vlan=-1 queues=4,-1 modes=0,0,1,0 proxy=0"),
    ],
)
def test_values_of_a_veth(tool: Path, tmp_path: Path, line: str, fields: str) -> None:
    assert read(tool, tmp_path, f"{VETH}lxc.net.0.{line}\n") == ([fields], "")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("ipv4.address = 10.0.3.5/24", "address0=10.0.3.5/24 10.0.3.255"),
        ("ipv4.address = 10.0.3.5/20 10.0.15.254", "address0=10.0.3.5/20 10.0.15.254"),
        ("ipv4.address = 10.77.0.2/25", "address0=10.77.0.2/25 10.77.0.127"),
        ("ipv4.address = 10.0.3.4/31", "address0=10.0.3.4/31 0.0.0.0"),
        ("ipv4.address = 192.168.1.1/0", "address0=192.168.1.1/0 255.255.255.255"),
        ("ipv6.address = fd00::A/64", "address0=fd00::a/64"),
        ("ipv6.address = ::1/128", "address0=::1/128"),
        ("veth.ipv4.route = 192.168.7.0/24", "route0=192.168.7.0/24"),
        ("veth.ipv6.route = fd01::/48", "route0=fd01::/48"),
    ],
)
def test_addresses_and_routes(tool: Path, tmp_path: Path, line: str, fields: str) -> None:
    got, said = read(tool, tmp_path, f"{VETH}lxc.net.0.{line}\n")
    assert (got[1:], said) == ([fields], "")


@pytest.mark.parametrize(
    ("address", "came_to"),
    [
        ("ipv4.address = 10.0.0.5", "10.0.0.5/8 10.255.255.255"),
        ("ipv4.address = 172.16.0.5", "172.16.0.5/16 172.16.255.255"),
        ("ipv4.address = 192.168.0.5", "192.168.0.5/24 192.168.0.255"),
        ("ipv6.address = fd00::5", "fd00::5/64"),
    ],
)
def test_without_a_length_it_is_as_in_lxc_and_said(tool: Path, tmp_path: Path, address: str, came_to: str) -> None:
    got, said = read(tool, tmp_path, f"{VETH}lxc.net.0.{address}\n")
    assert got[1] == f"address0={came_to}"
    assert "config:2: warning: lxc.net.0.ipv" in said and "no prefix length" in said


@pytest.mark.parametrize(
    ("kind", "line", "modes"),
    [
        ("macvlan", "macvlan.mode = private", "0,0,1,0"),
        ("macvlan", "macvlan.mode = vepa", "0,1,1,0"),
        ("macvlan", "macvlan.mode = bridge", "0,2,1,0"),
        ("macvlan", "macvlan.mode = passthru", "0,3,1,0"),
        ("ipvlan", "ipvlan.mode = l2", "0,0,0,0"),
        ("ipvlan", "ipvlan.mode = l3", "0,0,1,0"),
        ("ipvlan", "ipvlan.mode = l3s", "0,0,2,0"),
        ("ipvlan", "ipvlan.isolation = private", "0,0,1,1"),
        ("ipvlan", "ipvlan.isolation = vepa", "0,0,1,2"),
    ],
)
def test_modes(tool: Path, tmp_path: Path, kind: str, line: str, modes: str) -> None:
    got, said = read(tool, tmp_path, f"lxc.net.0.type = {kind}\nlxc.net.0.link = eth0\nlxc.net.0.{line}\n")
    assert said == "" and got[0].endswith(f" modes={modes} proxy=0")


def test_legacy_keys_are_the_same(tool: Path, tmp_path: Path) -> None:
    keys = ["type = veth", "link = br0", "name = eth1", "flags = up", "hwaddr = 02:00:00:00:00:01", "mtu = 1400"]
    keys += ["veth.pair = out", "ipv4.gateway = 10.0.3.1", "ipv6.gateway = dev"]
    old = "".join(f"lxc.network.{key}\n" for key in [*keys, "ipv4 = 10.0.3.5/24", "ipv6 = fd00::5/64"])
    new = "".join(f"lxc.net.0.{key}\n" for key in [*keys, "ipv4.address = 10.0.3.5/24", "ipv6.address = fd00::5/64"])
    assert read(tool, tmp_path, old)[0] == read(tool, tmp_path, new)[0]
    numbered = old.replace("lxc.network.", "lxc.network.0.")
    assert read(tool, tmp_path, numbered)[0] == read(tool, tmp_path, new)[0]


def test_each_legacy_type_opens_the_next_interface(tool: Path, tmp_path: Path) -> None:
    text = "".join(f"lxc.network.{line}\n" for line in ("type = veth", "ipv4 = 10.0.0.1/8", "type = vlan",
                                                        "vlan.id = 7", "link = eth0", "ipv4 = 10.0.0.2/8"))  # fmt: skip
    got, _ = read(tool, tmp_path, text)
    assert [line.split(" ")[0] for line in got] == ["nic0=3", "nic1=6", "address0=10.0.0.1/8", "address1=10.0.0.2/8"]


def test_empty_values_clear_one_kind_of_one_interface(tool: Path, tmp_path: Path) -> None:
    lines = (
        "0.type = veth", "1.type = veth", "0.ipv4.address = 10.0.0.1/8", "0.ipv6.address = fd00::1/64",
        "0.veth.ipv4.route = 10.9.0.0/16", "1.ipv4.address = 10.0.0.2/8", "0.ipv4.address =",
    )  # fmt: skip
    text = "".join(f"lxc.net.{line}\n" for line in lines)
    got, _ = read(tool, tmp_path, text)
    assert got[2:] == ["address0=fd00::1/64", "route0=10.9.0.0/16", "address1=10.0.0.2/8 10.255.255.255"]
    got, _ = read(tool, tmp_path, text + "lxc.net.0 =\n")
    assert got[1:] == ["address1=10.0.0.2/8 10.255.255.255"]
    assert read(tool, tmp_path, text + "lxc.net =\n") == ([], "")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("link = abcdefghijklmnop", "the name of an interface has at most 15 characters"),
        ("name = a/b", "is no name of an interface"),
        ("name = ..", "is no name of an interface"),
        ("name = eth%d", "is no name of an interface"),
        ("veth.pair = a b", "is no name of an interface"),
        ("veth.mode = nat", "must be bridge or router"),
        ("macvlan.mode = bridge", "is for the type macvlan, which must be set before"),
        ("vlan.id = 5", "is for the type vlan, which must be set before"),
        ("hwaddr = 00:16:3e:00:00", "must be six pairs"),
        ("hwaddr = 00:16:3e:00:00:00:00", "must be six pairs"),
        ("hwaddr = 00:16:3e:00:00:0g", "must be six pairs"),
        ("hwaddr = 001:6:3e:00:00:00", "must be six pairs"),
        ("hwaddr = 01:00:00:00:00:00", "the first pair must be even"),
        ("mtu = 65536", "must be a number from 0 to 65535"),
        ("mtu = big", "must be a number from 0 to 65535"),
        ("flags = down", "must be up, or empty"),
        ("ipv4.address = 10.0.3.5/33", "must be an address as 10.0.3.5/24"),
        ("ipv4.address = 10.0.3/24", "must be an address as 10.0.3.5/24"),
        ("ipv4.address = 10.0.3.256/24", "must be an address as 10.0.3.5/24"),
        ("ipv4.address = fd00::5/64", "must be an address as 10.0.3.5/24"),
        ("ipv4.address = 10.0.3.5/24 10.0.3", "a broadcast address must follow, or nothing"),
        ("ipv4.address = 10.0.3.5/24 10.0.3.255/24", "a broadcast address must follow, or nothing"),
        ("ipv6.address = 10.0.3.5/24", "must be an address as fd00::5/64"),
        ("ipv6.address = fd00::5/129", "must be an address as fd00::5/64"),
        ("ipv6.address = fd00::5/64 fd00::6", "nothing may follow the address"),
        ("veth.ipv4.route = 10.0.0.0/8 10.0.0.1", "nothing may follow the address"),
        ("ipv4.gateway = 10.0.3.1/24", "must be an address without a length, auto, or dev"),
        ("ipv4.gateway = none", "must be an address without a length, auto, or dev"),
        ("ipv4.gateway = 10.0.3.1", "lxc.net.0.flags = up is missing"),
        ("ipv4.gateway = 10.0.3.1\nlxc.net.0.flags = up", "lxc.net.0.ipv4.address is missing"),
        ("ipv6.gateway = auto\nlxc.net.0.flags = up\nlxc.net.0.ipv6.address = fd00::5/64", "lxc.net.0.link is missing"),
        ("l2proxy = 1", "lxc.net.0.link is missing"),
    ],
)
def test_refused(tool: Path, tmp_path: Path, line: str, why: str) -> None:
    got, said = read(tool, tmp_path, f"{VETH}lxc.net.0.{line}\n")
    assert got[0] == "errors=1" and why in said
    assert said.startswith("config:")


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan", "vlan", "phys"])
def test_what_hangs_on_an_interface_must_name_it(tool: Path, tmp_path: Path, kind: str) -> None:
    got, said = read(tool, tmp_path, f"\nlxc.net.1.type = {kind}\n")
    assert got[0] == "errors=1" and said == "config:2: lxc.net.1.link is missing: the host's interface\n"


def test_a_vlan_needs_its_number(tool: Path, tmp_path: Path) -> None:
    assert "lxc.net.0.vlan.id is missing" in read(tool, tmp_path, "lxc.net.0.type = vlan\nlxc.net.0.link = e\n")[1]


def test_more_addresses_than_there_is_room(tool: Path, tmp_path: Path) -> None:
    lines = [f"lxc.net.0.ipv4.address = 10.0.0.{number}/24\n" for number in range(33)]
    assert read(tool, tmp_path, VETH + "".join(lines[:32]))[1] == ""
    assert "ADDRS_MAX" in read(tool, tmp_path, VETH + "".join(lines))[1]
