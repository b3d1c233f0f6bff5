"""What a number means on a board, and which number a name has: `why` and `who`."""

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
        return f"no device, the number is {self.driver}'s" if self.driver else NOTHING

    @property
    def brief(self) -> str:
        """The same for a list of many: `rtc's` is a number of that driver without a device."""
        return f"{self.driver}'s" if self.driver and not self.nodes else self.short

    @property
    def said(self) -> str:
        """As `short`; a number that is nothing here and that the kernel keeps for a device tells which."""
        kept = f" (kept for {', '.join(self.rows)})" if self.short == NOTHING and self.rows else ""
        return self.short + kept


def meaning(facts: Facts, rows: Catalogue, rule: Rule) -> Meaning:
    """What a rule's numbers are under these facts."""
    nodes = tuple(node for node in facts.nodes if rule.concerns(*node.key))
    driver = ", ".join(holders(facts, rule))
    if nodes:
        found = {rows.of_node(node) for node in nodes}
    else:
        found = set(rows.of_number(rule.kind, rule.major, rule.minor)) if rule.major is not None else set()
        found |= {rows.of_driver(rule.kind, driver), rows.of_misc(driver)}
    return Meaning(facts, nodes, driver, tuple(sorted(found - {""})))


def holders(facts: Facts, rule: Rule) -> tuple[str, ...]:
    """Who holds the numbers of a rule, as narrow as the kernel tells: the misc minor, the tty, else the major."""
    if rule.major is None:
        return ()
    drivers = facts.drivers(rule.kind, rule.major)
    if rule.kind != "c" or rule.minor is None:
        return drivers
    if "misc" in drivers:
        name = facts.misc_name(rule.minor)
        return (name,) if name else ()
    for tty in facts.ttys:
        if tty.major == rule.major and tty.first <= rule.minor <= tty.last and tty.prefix in drivers:
            return (tty.prefix,)
    return drivers


def kernels(names: list[str]) -> str:
    """Many BOARD@KERNEL in a few words: `12 boards (qemuarm, sabrelite, +10)`; up to three as they are."""
    if len(names) <= 3:
        return ", ".join(names)
    boards = list(dict.fromkeys(name.partition("@")[0] for name in names))
    if len(boards) == 1:
        return f"{len(names)} kernels of {boards[0]}"
    more = f", +{len(boards) - 2}" if len(boards) > 2 else ""
    return f"{len(boards)} boards ({', '.join(boards[:2])}{more})"


def summary(names: dict[str, list[str]]) -> str:
    """`gpiochip0 on 17 boards (qemuarm, sabrelite, +15), nothing on 9 boards (...)`."""
    ordered = sorted(names.items(), key=lambda item: (item[0] == NOTHING, -len(item[1]), item[0]))
    texts = [f"{name} on {kernels(boards)}" for name, boards in ordered[:4]]
    return "; ".join(texts) + (f"; {len(ordered) - 4} more" if len(ordered) > 4 else "")


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
