"""What a container may touch on one board, device by device, with the reason: for image.json and the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sampan.config.rules import Rule, RuleSet
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.devices import algebra, lint, names, resolve, store, verdict
from sampan.devices.catalogue import Catalogue, Device
from sampan.devices.facts import Facts, Node
from sampan.devices.finding import Finding
from sampan.devices.policyfile import Entry, Policy


@dataclass(frozen=True)
class Why:
    """A line of the configuration that lets a device in."""

    text: str
    line: int
    reason: str


@dataclass(frozen=True)
class Item:
    """A device of the board, or numbers without a device that a rule names, and what the container may do."""

    number: str  #: `c 252:0`, `c 136:*`
    name: str  #: below /dev; the driver when there is no node
    node: Node | None
    row: Device | None  #: of the catalogue
    kind: str  #: name of that row, or ""
    access: str  #: letters rwm
    why: tuple[Why, ...]
    place: str  #: driver and place on its bus
    same: tuple[str, ...]  #: names of other devices of the board that may reach the same hardware


@dataclass(frozen=True)
class Plan:
    """All of one container on one board."""

    container: str
    facts: Facts
    policy: Policy
    model: RuleSet
    items: tuple[Item, ...]
    findings: tuple[Finding, ...]

    @property
    def listed(self) -> bool:
        """Is there a list of what is allowed at all?"""
        return not self.model.allow_default

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The smallest list; () when everything is allowed."""
        return algebra.merge(self.model.rules.values()) if self.listed else ()

    @property
    def count(self) -> tuple[str, str]:
        """How much is open, for a person: the figure, and what it counts. A rule without a device is no device."""
        if not self.listed:
            return "everything", "is open: the container has no list of devices"
        opened = sum(bool(item.node and item.access) for item in self.items)
        rules = sum(item.node is None for item in self.items)
        also = f", and {rules} rule{'s' * (rules > 1)} for numbers without a device" if rules else ""
        return f"{opened} of {len(self.facts.nodes)}", f"devices of the board are open{also}"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Devices that belong in the container's /dev: those it may open, which exist on the board."""
        wanted = [item.node for item in self.items if item.node and set(item.access) & set("rw")]
        return tuple(wanted) if self.listed else ()


def make(container: str, policy: Policy, facts: Facts, rows: Catalogue) -> Plan:
    """The plan; a name that does not resolve on the board is a SampanError with all such lines."""
    resolve.require_names(policy, facts, rows)
    model = verdict.in_force(policy, facts, rows)
    kinds = {node.key: rows.of_node(node) for node in facts.nodes}
    reasons = _reasons(policy, facts, rows)
    items = [_item(node, kinds, model, reasons, facts, rows) for node in facts.nodes]
    items += _without_nodes(model, reasons, facts, rows)
    findings = lint.check(policy, [facts], rows)
    return Plan(container, facts, policy, model, tuple(items), tuple(findings))


def facts_of(board: str, kernel: str, policy: Policy) -> Facts | None:
    """Facts of the kernel an image is built with. None when there are none and no name needs them.

    Those of a near kernel are no substitute: a driver more, and every number below it is another.
    """
    if (board, kernel) in store.names():
        return store.load(board, kernel)
    asked = next((entry for entry in policy.entries if entry.form == "name"), None)
    if asked:
        raise SampanError(
            f"{policy.path}:{asked.line}: {asked.text}: there are no facts of {board} under Linux {kernel}",
            hint=f"take the container out of rootfs.containers for one build, and record them: "
            f"`sampan devices probe qemu:{board}`",
            code=EXIT_USAGE,
        )
    return None


def _reasons(policy: Policy, facts: Facts, rows: Catalogue) -> list[tuple[Rule, Why]]:
    allowed = [entry for entry in policy.entries if entry.verb == "allow" and entry.form in ("number", "name")]
    return [(rule, _why(entry)) for entry in allowed for rule in resolve.meant(entry, facts, rows)]


def _why(entry: Entry) -> Why:
    return Why(entry.text, entry.line, entry.reason)


def _item(
    node: Node,
    kinds: dict[verdict.Number, str],
    model: RuleSet,
    reasons: Iterable[tuple[Rule, Why]],
    facts: Facts,
    rows: Catalogue,
) -> Item:
    kind = kinds[node.key]
    row = rows.devices.get(kind)
    access = verdict.letters(model, node.key)
    why = tuple(dict.fromkeys(each for rule, each in reasons if rule.concerns(*node.key))) if access else ()
    same = _same(node, kind, row, kinds, facts, rows)
    return Item(node.number, node.name, node, row, kind, access, why, names.where(facts, node), same)


def _same(
    node: Node, kind: str, row: Device | None, kinds: dict[verdict.Number, str], facts: Facts, rows: Catalogue
) -> tuple[str, ...]:
    """Devices that the catalogue says reach the same hardware, from either side, on this board.

    Of one place on the bus when both have one there; else any of another kind. A kind that reaches itself (a
    disk and its partitions) does so at one place alone.
    """
    reaching = {name for name, other in rows.devices.items() if kind and kind in other.reaches}
    wanted = (set(row.reaches) if row else set()) | reaching
    others = (each for each in facts.nodes if each is not node and kinds[each.key] in wanted)
    found = [each for each in others if not _other_console(node, each, facts)]
    near = [each for each in found if _place(each) and _place(each) == _place(node)]
    return tuple(each.name for each in (near or found) if each in near or kinds[each.key] != kind)


def _other_console(one: Node, other: Node, facts: Facts) -> bool:
    """/dev/console is the terminal that the kernel says it is, and no other of the kind."""
    terminals = [each for each in (one, other) if each.name != "console"]
    return len(terminals) == 1 and not facts.is_console(*terminals[0].key)


def _place(node: Node) -> str:
    """The hardware that a device is of: its tree node, or the device above its class in sysfs."""
    return node.of_node or ("" if "/virtual/" in node.path else node.path.rpartition(f"/{node.subsystem}/")[0])


def _without_nodes(
    model: RuleSet, reasons: Iterable[tuple[Rule, Why]], facts: Facts, rows: Catalogue
) -> Iterable[Item]:
    """Rules that open numbers which are no device now: ptys to come, a driver's whole major, a stale number."""
    for rule in algebra.merge(model.rules.values()) if not model.allow_default else ():
        if rule.major is None or any(rule.concerns(*node.key) for node in facts.nodes):
            continue
        kind = next(iter(names.meaning(facts, rows, rule).rows), "")
        holder = ", ".join(facts.drivers(rule.kind, rule.major)) or "nothing"
        why = tuple(dict.fromkeys(each for other, each in reasons if algebra.covers(rule, other)))
        number, letters = str(rule).rsplit(" ", 1)
        yield Item(number, holder, None, rows.devices.get(kind), kind, letters, why, "", ())
