"""What a number means on a board, and which number a name has: `why`, `who` and `diff`."""

from __future__ import annotations

from dataclasses import dataclass

from sampan.config.rules import Rule, parse
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts, Node

NOTHING = "nothing"


@dataclass(frozen=True)
class Meaning:
    """What one number, or all numbers of a rule, are on one board."""

    facts: Facts
    nodes: tuple[Node, ...]  #: that exist
    driver: str  #: who holds the major (or the misc minor) though no node may exist; "" when free
    rows: tuple[str, ...]  #: rows of the catalogue that it falls in

    @property
    def short(self) -> str:
        """Names in one line: nodes, else the driver, else nothing."""
        if len(self.nodes) > 4:
            return f"{self.nodes[0].name} and {len(self.nodes) - 1} more"
        if self.nodes:
            return ", ".join(node.name for node in self.nodes)
        return f"no device; the number is {self.driver}'s" if self.driver else NOTHING


def meaning(facts: Facts, rows: Catalogue, rule: Rule) -> Meaning:
    """What a rule's numbers are under these facts."""
    nodes = tuple(node for node in facts.nodes if rule.concerns(*node.key))
    driver = _holder(facts, rule)
    if nodes:
        found = {rows.of_node(node) for node in nodes}
    else:
        found = set(rows.of_number(rule.kind, rule.major, rule.minor)) if rule.major is not None else set()
        found |= {rows.of_driver(rule.kind, driver), rows.of_misc(driver)}
    return Meaning(facts, nodes, driver, tuple(sorted(found - {""})))


def _holder(facts: Facts, rule: Rule) -> str:
    if rule.major is None:
        return ""
    drivers = facts.drivers(rule.kind, rule.major)
    if "misc" in drivers and rule.kind == "c" and rule.minor is not None:
        return facts.misc_name(rule.minor)
    if rule.kind == "c" and rule.minor is not None:
        for tty in facts.ttys:
            if tty.major == rule.major and tty.first <= rule.minor <= tty.last and tty.prefix in drivers:
                return tty.prefix
    return ", ".join(drivers)


def where(facts: Facts, node: Node) -> str:
    """What tells this device from its kind: driver and place."""
    place = node.of_node or ("" if node.path.startswith("/devices/virtual/") else node.path)
    console = "the host's console" if facts.is_console(*node.key) else ""
    return ", ".join(text for text in (console, node.driver, place) if text)


def who(facts: list[Facts], rows: Catalogue, name: str) -> list[tuple[Facts, tuple[Node, ...]]]:
    """Nodes of a name (/dev/rtc0, rtc0), or of a device or profile of the catalogue, on each board."""
    name = name.removeprefix("/dev/")
    if any(name in each.by_name for each in facts):
        return [(each, (each.by_name[name],) if name in each.by_name else ()) for each in facts]
    wanted = rows.profiles[name].devices if name in rows.profiles else (name,)
    if wanted[0] not in rows.devices:
        fitting = rows.of_path(name)
        if not fitting:
            known = {*rows.devices, *rows.profiles, *(node.name for each in facts for node in each.nodes)}
            raise SampanError(
                f"no known board has a device {name!r}", hint=did_you_mean_few(name, known), code=EXIT_USAGE
            )
        return [(each, ()) for each in facts]
    return [(each, tuple(node for node in each.nodes if rows.of_node(node) in wanted)) for each in facts]


def did_you_mean_few(name: str, known: set[str]) -> str:
    """The nearest name, or where to look when nothing is near: hundreds of names help nobody."""
    hint = did_you_mean(name, known)
    return hint if hint.startswith("did you mean") else "`sampan devices catalogue` lists devices and profiles"


@dataclass(frozen=True)
class Change:
    """One difference between two boards or kernels."""

    kind: str  #: moved, recycled, gone or new
    name: str
    text: str


def diff(old: Facts, new: Facts, rows: Catalogue) -> list[Change]:
    """What changed for a list that was written for `old`, the dangerous part first.

    `moved`: a name has another number. `recycled`: the number it had is another device's now, so
    the old list would open that one. Drivers without a node are compared by their major.
    """
    changes = [*_drivers(old, new), *_nodes(old, new, rows)]
    order = ("recycled", "moved", "gone", "new")
    return sorted(changes, key=lambda change: (order.index(change.kind), change.name))


def _nodes(old: Facts, new: Facts, rows: Catalogue) -> list[Change]:
    changes = []
    for name in sorted({*old.by_name, *new.by_name}):
        before, after = old.by_name.get(name), new.by_name.get(name)
        if before is None and after is not None:
            changes.append(Change("new", name, f"{name} is {after.number}"))
        elif before is not None and (after is None or after.key != before.key):
            changes.append(_lost(before, after, new, rows))
    return changes


def _lost(before: Node, after: Node | None, new: Facts, rows: Catalogue) -> Change:
    rule = exact(before)
    now = meaning(new, rows, rule)
    text = f"{before.name} {_went(before.number, after.number if after else '')}"
    if now.nodes or now.driver:
        holder = now.short if now.nodes else f"{now.driver}'s"
        text += f"; {before.number} is now {holder}: a list for the old kernel opens that"
        return Change("recycled", before.name, text)
    return Change("moved" if after else "gone", before.name, text)


def _drivers(old: Facts, new: Facts) -> list[Change]:
    """Drivers with a moved major and no node on either side: what is plugged in later."""
    changes = []
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


def _went(before: str, after: str) -> str:
    return f"moved {before} -> {after}" if after else f"is gone ({before})"


def exact(node: Node, access: str = "rw") -> Rule:
    """The rule about this node alone."""
    rule = parse(f"{node.number} {access}")
    assert rule is not None
    return rule


def parse_number(text: str) -> Rule:
    """`c 252:0`, `c 252:*` or with an access, as a person types it."""
    words = text.split()
    if len(words) == 2:
        words.append("rwm")
    rule = parse(" ".join(words))
    if rule is None:
        raise SampanError("`a` is every device there is", code=EXIT_USAGE)
    return rule
