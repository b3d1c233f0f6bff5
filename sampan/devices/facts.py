"""What a kernel said about its devices: the only place where device numbers live.

Facts hold for one board and one kernel release. They come from a probe of a running target
(dump.py), are kept as text in board/NAME/facts/KERNEL.tsv (tsv.py) and never change: a new
kernel has new facts. Pure values; sources are the kernel's own files, named at each field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sampan.config.rules import Kind


@dataclass(frozen=True, order=True)
class Major:
    """A line of /proc/devices: a driver holds this major number. Several names may share one."""

    kind: Kind
    number: int
    name: str


@dataclass(frozen=True, order=True)
class Misc:
    """A line of /proc/misc: a misc device (major 10) and its minor number."""

    minor: int
    name: str


@dataclass(frozen=True, order=True)
class Tty:
    """A line of /proc/tty/drivers: minors `first` to `last` of `major` are PREFIX0, PREFIX1..."""

    prefix: str
    major: int
    first: int
    last: int
    what: str  #: type, such as serial or system:console


@dataclass(frozen=True, order=True)
class Console:
    """A line of /proc/consoles: where kernel messages and the host's login are."""

    name: str
    major: int
    minor: int


@dataclass(frozen=True)
class Node:
    """A device that exists (/sys/dev/{char,block}/MAJOR:MINOR). A text that is "" is not known."""

    kind: Kind
    major: int
    minor: int
    name: str  #: DEVNAME of its uevent, without /dev/, such as input/event0
    subsystem: str = ""  #: class or bus in sysfs, such as rtc
    driver: str = ""  #: of the nearest parent that has one
    path: str = ""  #: below /sys: where it hangs on its bus
    of_node: str = ""  #: nearest device tree node
    devtype: str = ""  #: DEVTYPE, such as disk or partition
    mode: str = ""  #: DEVMODE, octal

    @property
    def key(self) -> tuple[Kind, int, int]:
        return self.kind, self.major, self.minor

    @property
    def number(self) -> str:
        """As a rule spells it: `c 1:3`."""
        return f"{self.kind} {self.major}:{self.minor}"


@dataclass(frozen=True)
class Facts:
    """Everything known of one board under one kernel; all tuples are sorted and hold nothing twice."""

    board: str
    kernel: str  #: release, as uname -r
    machine: str  #: compatible string of the device tree's root; "" on machines without one
    majors: tuple[Major, ...]
    misc: tuple[Misc, ...]
    ttys: tuple[Tty, ...]
    consoles: tuple[Console, ...]
    nodes: tuple[Node, ...]

    @property
    def name(self) -> str:
        """`BOARD@KERNEL`, as commands take it."""
        return f"{self.board}@{self.kernel}"

    @cached_property
    def by_number(self) -> dict[tuple[Kind, int, int], Node]:
        return {node.key: node for node in self.nodes}

    @cached_property
    def by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _drivers(self) -> dict[tuple[Kind, int], tuple[str, ...]]:
        found: dict[tuple[Kind, int], tuple[str, ...]] = {}
        for major in self.majors:
            found[major.kind, major.number] = (*found.get((major.kind, major.number), ()), major.name)
        return found

    def drivers(self, kind: Kind, major: int) -> tuple[str, ...]:
        """Names in /proc/devices of whoever holds a major; () when it is free."""
        return self._drivers.get((kind, major), ())

    def majors_of(self, kind: Kind, driver: str) -> list[int]:
        """Majors that a driver holds, by its name in /proc/devices."""
        return [major.number for major in self.majors if major.kind == kind and major.name == driver]

    def misc_name(self, minor: int) -> str:
        """Name in /proc/misc of a minor number of major 10; "" when it is free."""
        return next((misc.name for misc in self.misc if misc.minor == minor), "")

    def is_console(self, kind: Kind, major: int, minor: int) -> bool:
        """Is it the UART (or terminal) on which the host's console is?"""
        return kind == "c" and any((c.major, c.minor) == (major, minor) for c in self.consoles)


def make(
    board: str,
    kernel: str,
    machine: str,
    *,
    majors: Iterable[Major],
    misc: Iterable[Misc],
    ttys: Iterable[Tty],
    consoles: Iterable[Console],
    nodes: Iterable[Node],
) -> Facts:
    """Facts in their one order, whatever order the target's kernel listed them in."""
    return Facts(
        board=board,
        kernel=kernel,
        machine=machine,
        majors=tuple(sorted(set(majors), key=lambda m: (m.kind == "b", m.number, m.name))),
        misc=tuple(sorted(set(misc))),
        ttys=tuple(sorted(set(ttys))),
        consoles=tuple(sorted(set(consoles))),
        nodes=tuple(sorted(set(nodes), key=lambda n: (n.kind == "b", n.major, n.minor, n.name))),
    )


def contradiction(facts: Facts) -> str:
    """Why these facts cannot be those of one running kernel, or ""."""
    names: dict[str, Node] = {}
    numbers: dict[tuple[Kind, int, int], Node] = {}
    for node in facts.nodes:
        if not facts.drivers(node.kind, node.major):
            return f"{node.name} is {node.number}, but no driver holds {node.kind} major {node.major}"
        twin = numbers.setdefault(node.key, node)
        if twin is not node:
            return f"{node.number} is both {twin.name} and {node.name}"
        twin = names.setdefault(node.name, node)
        if twin is not node:
            return f"{node.name} is both {twin.number} and {node.number}"
    minors = [misc.minor for misc in facts.misc]
    twice = next((minor for minor in minors if minors.count(minor) > 1), None)
    return "" if twice is None else f"misc minor {twice} has two names"
