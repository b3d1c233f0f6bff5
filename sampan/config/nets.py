"""Interfaces of a container, as the lines of lxc.net.N and lxc.network describe them (runtime/src/conf_net.c).

Readers like those of values.py: they raise Wrong, and keep in the Nic what it is judged by at the end.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from sampan.config.language import size
from sampan.config.mounts import Wrong

TYPES = ("empty", "none", "veth", "macvlan", "ipvlan", "vlan", "phys")
_MAC = re.compile(r"[0-9a-fxA-FX]{2}(:[0-9a-fxA-FX]{2}){5}")
_DECIMAL = re.compile(r"[0-9]+")
_WIDTH = {4: 32, 6: 128}
_EXAMPLE = {4: "10.0.3.5/24", 6: "fd00::5/64"}

Family = int  #: 4 or 6


@dataclass
class Nic:
    """What the lines of one interface have said; `kind` is "" before its type."""

    kind: str = ""
    up: bool = False
    said: set[str] = field(default_factory=set)  #: fields that have a value
    addresses: list[tuple[Family, bool]] = field(default_factory=list)  #: the flag: a route
    gateways: dict[Family, str] = field(default_factory=dict)  #: ip, auto or dev


def family(key: str) -> Family:
    """Which addresses a key is about."""
    return 6 if "ipv6" in key else 4


def check_type(key: str, nic: Nic) -> None:
    """A key of one type alone, as lxc.net.0.veth.pair, needs an interface of that type."""
    words = key.split(".")[:-1]
    wanted = next((kind for kind in TYPES if kind in words[1:]), None)
    if wanted and nic.kind != wanted:
        raise Wrong(f"is for the type {wanted}, which must be set before")


def name(value: str) -> None:
    """What the kernel takes for the name of an interface."""
    if size(value) > 15:
        raise Wrong("the name of an interface has at most 15 characters")
    if value in (".", "..") or any(char in "/: \t%" for char in value):
        raise Wrong("is no name of an interface")


def hwaddr(value: str) -> None:
    """A MAC address; x stands for a random digit."""
    if not _MAC.fullmatch(value):
        raise Wrong("must be six pairs of hexadecimal digits or x: 00:16:3e:xx:xx:xx")
    if value[1] not in "xX" and int(value[1], 16) & 1:
        raise Wrong("the first pair must be even: this is no address of one interface")


def _parse(text: str, version: Family) -> tuple[bytes, int | None] | None:
    """The bytes of an address and its prefix length, when it has one."""
    address, slash, length = text.partition("/")
    if slash and (not _DECIMAL.fullmatch(length) or int(length) > _WIDTH[version]):
        return None
    try:
        found = ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return None
    return None if "%" in address else (found.packed, int(length) if slash else None)


def address(value: str, version: Family, route: bool) -> str:
    """An address of an interface or a route to it; a warning, or ""."""
    text, *rest = re.split("[ \t]+", value, maxsplit=1)
    found = _parse(text, version)
    if found is None:
        raise Wrong(f"must be an address as {_EXAMPLE[version]}")
    if rest and version == 4 and not route:
        broadcast = _parse(rest[0], 4)
        if broadcast is None or broadcast[1] is not None:
            raise Wrong("a broadcast address must follow, or nothing")
    elif rest:
        raise Wrong("nothing may follow the address")
    if found[1] is not None:
        return ""
    usual = 64 if version == 6 else 8 if found[0][0] < 128 else 16 if found[0][0] < 192 else 24
    return f"no prefix length: /{usual} is taken, as LXC does"


def gateway(value: str, version: Family) -> str:
    """The kind of a gateway."""
    if value in ("auto", "dev"):
        return value
    found = _parse(value, version)
    if found is None or found[1] is not None:
        raise Wrong("must be an address without a length, auto, or dev")
    return "ip"


def missing(nic: Nic) -> str:
    """What an interface lacks when all has been read, or ""."""
    if not nic.kind:
        return "type is missing"
    if nic.kind in ("macvlan", "ipvlan", "vlan", "phys") and "link" not in nic.said:
        return "link is missing: the host's interface"
    if nic.kind == "vlan" and "vlan_id" not in nic.said:
        return "vlan.id is missing"
    if "l2proxy" in nic.said and "link" not in nic.said:
        return "link is missing: l2proxy is about it"
    return next((why for version in (4, 6) if (why := _lacks_for_gateway(nic, version))), "")


def _lacks_for_gateway(nic: Nic, version: Family) -> str:
    kind = nic.gateways.get(version, "")
    if not kind:
        return ""
    if not nic.up:
        return "flags = up is missing: its gateway needs it"
    if kind != "dev" and (version, False) not in nic.addresses:
        return f"ipv{version}.address is missing: the gateway needs one"
    if kind == "auto" and (nic.kind in ("vlan", "phys") or "link" not in nic.said):
        return "link is missing, of a veth, macvlan or ipvlan: gateway auto is its address"
    return ""
