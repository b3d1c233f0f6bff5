"""Namespaces of a container: which are made, which are whose, ids and clocks in them (runtime/src/conf_ns.c)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from sampan.config import language as limit
from sampan.config import names
from sampan.config.mounts import Wrong

NAMES = frozenset(limit.words("cgroup ipc mnt net pid time user uts"))
USUAL = NAMES - {"time", "user"}
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
_OFFSET = re.compile(r"([+-]?)([0-9]{1,23}) *([a-z]+)", re.IGNORECASE)
_MOST = 2**32 - 1  #: one more than the highest id
_SHARED = re.compile(rf"/.*|[A-Za-z0-9][A-Za-z0-9_.-]{{0,{limit.NAME_LEN_MAX - 1}}}")


class Range(NamedTuple):
    """One lxc.idmap; kinds of "u" and "g"."""

    kinds: str
    inside: int
    outside: int
    amount: int
    file: str
    line: int

    def clashes(self, other: Range) -> bool:
        """Do both map an id, or to one?"""
        return bool(set(self.kinds) & set(other.kinds)) and any(
            a < b + other.amount and b < a + self.amount
            for a, b in ((self.inside, other.inside), (self.outside, other.outside))
        )


@dataclass
class Spaces:
    """What the lines of lxc.namespace and lxc.idmap have said."""

    clone: set[str] = field(default_factory=set)
    keep: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    ranges: list[Range] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=lambda: {"u": 0, "g": 0})  #: of PID 1

    def own(self, net: bool) -> set[str]:
        """The namespaces that are made; `net`: unless the network is the host's."""
        made = set(self.clone) if self.clone else set(USUAL - self.keep)
        return made - self.shared - (set() if net else {"net"})


def listed(value: str, ours: set[str], other: set[str]) -> None:
    """A line of lxc.namespace.clone or keep."""
    if value and other:
        raise Wrong("lxc.namespace.clone and lxc.namespace.keep exclude each other")
    for word in value.split():
        name = "mnt" if word == "mount" else word
        if name not in NAMES:
            raise Wrong("must be of cgroup ipc mnt net pid time user uts")
        ours.add(name)


def share(name: str, value: str) -> None:
    """lxc.namespace.share.NAME; the name is checked for an empty value, too."""
    if name not in NAMES | {"mount"}:
        raise Wrong("must end in cgroup, ipc, net, pid, time or uts")
    if name in ("mnt", "mount", "user"):
        raise Wrong("not supported: a container has mounts and a map of ids of its own")
    if value and not _SHARED.fullmatch(value):
        raise Wrong("must be a process id, a container's name or an absolute path")


def idmap(value: str, file: str, line: int) -> Range:
    """`u|g|b INSIDE HOST COUNT`."""
    kind, *rest = value.split()
    numbers = [names.number(word, place == 2, _MOST - 1) for place, word in enumerate(rest[:3])]
    if kind not in ("u", "g", "b") or len(rest) != 3 or None in numbers:
        raise Wrong("must be u, g or b (both), the first id inside, the first on the host, how many")
    inside, outside, count = (number or 0 for number in numbers)
    if max(inside, outside) + count > _MOST:
        raise Wrong("must be u, g or b (both), the first id inside, the first on the host, how many")
    return Range("ug" if kind == "b" else kind, inside, outside, count, file, line)


def offset(value: str) -> None:
    """A number with its unit."""
    found = _OFFSET.fullmatch(value)
    unit = _UNITS.get(found[3].lower()) if found else None
    if not found or unit is None or int(found[2]) > (2**63 - 1) // unit:
        raise Wrong("must be a number and h, m, s, ms, us or ns, as -90s")


def wrong(said: Spaces) -> str:
    """What the lines together cannot be, or ""."""
    if (said.clone and "mnt" not in said.clone) or "mnt" in said.keep:
        return "lxc.namespace: a container always has its own mnt"
    if "user" in said.clone and not said.ranges:
        return "lxc.namespace.clone = user: lxc.idmap is missing"
    if said.ranges and ((said.clone and "user" not in said.clone) or "user" in said.keep):
        return "lxc.idmap: lxc.namespace leaves no user namespace to map ids in"
    return ""


def wrong_map(said: Spaces) -> str:
    """Which id is not mapped that has to be, or ""."""

    def mapped(kind: str, number: int) -> bool:
        return any(kind in row.kinds and 0 <= number - row.inside < row.amount for row in said.ranges)

    if not said.ranges:
        return ""
    if not mapped("u", 0) or not mapped("g", 0):
        return "lxc.idmap: user 0 and group 0 must be mapped, who set the container up"
    if not all(mapped(kind, number) for kind, number in said.ids.items()):
        return "lxc.idmap: lxc.init.uid and lxc.init.gid must be mapped"
    return ""
