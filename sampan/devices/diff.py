"""What changed between two boards or kernels for a list that was written for the first: `diff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sampan.config.rules import Kind
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts, Node
from sampan.devices.names import exact, holders, meaning

What = Literal["recycled", "moved", "renamed", "gone", "new"]
_ORDER: tuple[What, ...] = ("recycled", "moved", "renamed", "gone", "new")


@dataclass(frozen=True)
class Change:
    """One difference between two boards or kernels."""

    kind: What
    name: str
    text: str


def compare(old: Facts, new: Facts, rows: Catalogue) -> list[Change]:
    """What changed for a list that was written for `old`, the dangerous part first.

    `recycled`: the number is another driver's or another device's now, and the old list would open that.
    `moved`: the name has another number. `renamed`: the same under another name: numbers are still right,
    names are not. `gone`: the device is not there, and its number free or still its driver's.
    """
    changes = [*_drivers(old, new), *_nodes(old, new, rows)]
    return sorted(changes, key=lambda change: (_ORDER.index(change.kind), change.name))


def _nodes(old: Facts, new: Facts, rows: Catalogue) -> list[Change]:
    changes = []
    renamed = {after.name for node in old.nodes if (after := _renamed(node, old, new))}
    for name in sorted({*old.by_name, *new.by_name}):
        before, after = old.by_name.get(name), new.by_name.get(name)
        if before is None and after is not None and name not in renamed:
            changes.append(Change("new", name, f"{name} is {after.number}"))
        elif before is not None and (after is None or after.key != before.key):
            changes.append(_lost(before, after, old, new, rows))
    return changes


def _renamed(node: Node, old: Facts, new: Facts) -> Node | None:
    """The same hardware with the same number under another name: mmcblk0 that became mmcblk1 (aliases of the tree)."""
    after = new.by_number.get(node.key)
    if after is None or after.name in old.by_name or node.name in new.by_name or after.subsystem != node.subsystem:
        return None
    place = _place(node)
    return after if place and place == _place(after) else None


def _place(node: Node) -> str:
    """Where the device hangs, without its own name; "" for those of software."""
    if "/virtual/" in node.path:
        return ""
    return node.of_node or node.path.rpartition("/")[0]


def _lost(before: Node, after: Node | None, old: Facts, new: Facts, rows: Catalogue) -> Change:
    if other := _renamed(before, old, new):
        return Change("renamed", before.name, f"{before.name} is called {other.name} now; it is still {before.number}")
    rule = exact(before)
    now = meaning(new, rows, rule)
    text = f"{before.name} {_went(before.number, after.number if after else '')}"
    if now.nodes or (now.driver and not _same_driver(before, old, new)):
        holder = now.short if now.nodes else f"{now.driver}'s"
        text += f"; {before.number} is now {holder}: a list for the old kernel opens that"
        return Change("recycled", before.name, text)
    if now.driver:
        text += f"; {before.number} is still {now.driver}'s, which has no such device here"
    return Change("moved" if after else "gone", before.name, text)


def _same_driver(node: Node, old: Facts, new: Facts) -> bool:
    """Does the number belong to who held it before, if under another name?"""
    rule = exact(node)
    if set(holders(old, rule)) & set(holders(new, rule)):
        return True
    return node.major in {number for kind, number, *_ in _called_otherwise(old, new) if kind == node.kind}


def _drivers(old: Facts, new: Facts) -> list[Change]:
    """Drivers with another name, and those with a moved major and no node in `old`: what is plugged in later."""
    changes = [
        Change("renamed", before, f"driver {before} is called {after} now; it still holds {kind} {number}:*")
        for kind, number, before, after in _called_otherwise(old, new)
    ]
    with_node = {(each.kind, each.major) for each in old.nodes}
    for major in old.majors:
        now = new.majors_of(major.kind, major.name)
        if (major.kind, major.number) in with_node or major.number in now:
            continue
        number = f"{major.kind} {major.number}:*"
        text = f"driver {major.name} {_went(number, f'{major.kind} {now[0]}:*' if now else '')}"
        taken = ", ".join(new.drivers(major.kind, major.number))
        if taken:
            text += f"; {number} is now {taken}: a list for the old kernel opens that"
        changes.append(Change("recycled" if taken else "moved" if now else "gone", major.name, text))
    return changes


def _called_otherwise(old: Facts, new: Facts) -> list[tuple[Kind, int, str, str]]:
    """(kind, major, old name, new name) of drivers; the proof is a node that is the same on both sides."""
    found = set()
    for node in old.nodes:
        before, after = old.drivers(node.kind, node.major), new.drivers(node.kind, node.major)
        same = new.by_number.get(node.key)
        alone = len(before) == len(after) == 1 and before != after  # else nobody can tell which became which
        if alone and same and (same.name, same.subsystem) == (node.name, node.subsystem):
            found.add((node.kind, node.major, before[0], after[0]))
    return sorted(found)


def _went(before: str, after: str) -> str:
    return f"moved {before} -> {after}" if after else f"is gone ({before})"
