"""Symbolic values of a device rule and the devices they mean on a board.

/dev/rtc0        the node of that name
char-rtc         all devices of a driver by its name in /proc/devices (systemd's spelling; globs too)
class:rtc        all devices of a class in sysfs
profile:rtc      what the catalogue says
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from sampan.config.rules import Kind
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts, Node


def nodes(facts: Facts, catalogue: Catalogue, symbol: str) -> list[Node]:
    """Nodes that exist on the board and that the symbol means."""
    if symbol.startswith("/dev/"):
        name = symbol.removeprefix("/dev/")
        return [node for node in facts.nodes if _path_matches(node.name, name)]
    if symbol.startswith("class:"):
        wanted = symbol.removeprefix("class:")
        return [node for node in facts.nodes if node.subsystem == wanted]
    if symbol.startswith("profile:"):
        devices = catalogue.profile(symbol.removeprefix("profile:")).devices
        return [node for node in facts.nodes if catalogue.of_node(node) in devices]
    kind, driver = split_driver(symbol)
    return [
        node
        for node in facts.nodes
        if node.kind == kind and any(fnmatchcase(name, driver) for name in facts.drivers(kind, node.major))
    ]


def _path_matches(name: str, pattern: str) -> bool:
    """A pattern stands for one component of a path, as in a shell."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def split_driver(symbol: str) -> tuple[Kind, str]:
    """Kind and driver name of `char-NAME` or `block-NAME`."""
    word, _, driver = symbol.partition("-")
    return ("b" if word == "block" else "c"), driver


def rows(catalogue: Catalogue, symbol: str) -> set[str]:
    """Rows of the catalogue that a symbol means on any board."""
    if symbol.startswith("/dev/"):
        return set(catalogue.of_path(symbol.removeprefix("/dev/"))[:1])
    if symbol.startswith("class:"):
        return set()
    if symbol.startswith("profile:"):
        return set(catalogue.profile(symbol.removeprefix("profile:")).devices)
    return {catalogue.of_driver(*split_driver(symbol))} - {""}
