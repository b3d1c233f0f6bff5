"""From what a container asks for to rules on one board: names become numbers here and nowhere else.

Nothing is guessed: a device that the board has not, that could be one of several, that is
dangerous without a written reason or the host's own console is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sampan.config.rules import Rule, parse
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.devices import algebra, symbols
from sampan.devices.catalogue import Catalogue, Device
from sampan.devices.facts import Facts, Node
from sampan.devices.names import meaning, where
from sampan.devices.policyfile import Entry, Policy

_FEW = 8


@dataclass(frozen=True)
class Grant:
    """One rule and why it is there."""

    rule: Rule
    device: str  #: node or driver that the numbers are on this board
    origin: str  #: what the container asked for, and which hardware that is
    reason: str = ""  #: why a dangerous device must be, as the container wrote it


@dataclass(frozen=True)
class Resolved:
    """The smallest sorted list of rules for one policy on one board."""

    facts: Facts
    grants: tuple[Grant, ...]
    nodes: tuple[Node, ...]  #: that the list opens by exact number, for /dev of the container
    absent: tuple[str, ...] = ()  #: optional rules for devices that the board has not, as written

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(grant.rule for grant in self.grants)


def resolve(policy: Policy, facts: Facts, rows: Catalogue) -> Resolved:
    """Rules for a policy; every error of it at once, as one SampanError with lines."""
    grants: list[Grant] = []
    errors: list[str] = []
    for entry in policy.entries:
        try:
            grants = _apply(entry, grants, facts, rows)
        except SampanError as error:
            errors.append(_said(policy, entry, error))
    _raise(errors)
    kept = tuple(_join(rule, grants) for rule in algebra.merge(grant.rule for grant in grants))
    exact = (facts.by_number.get((g.rule.kind, g.rule.major or 0, g.rule.minor or 0)) for g in kept if _exact(g.rule))
    return Resolved(facts, kept, tuple(node for node in exact if node), _absent(policy, facts, rows))


def _absent(policy: Policy, facts: Facts, rows: Catalogue) -> tuple[str, ...]:
    """What nothing became of although nobody took it back; each once, in the order of the file."""
    said: list[str] = []
    for entry in policy.entries:
        if entry.form == "all":
            said = []
        elif entry.verb == "allow" and entry.optional and not meant(entry, facts, rows):
            said.append(entry.text)
    return tuple(dict.fromkeys(said))


def require_names(policy: Policy, facts: Facts, rows: Catalogue) -> None:
    """Refuse a policy that asks by name for what the board has not, or what nobody gave a reason for.

    Numbers are left as they are: lint judges them.
    """
    errors = []
    for entry in policy.entries:
        try:
            if entry.form == "wrong":
                raise SampanError(entry.wrong)
            if entry.form == "name":
                _granted(entry, facts, rows)
        except SampanError as error:
            errors.append(_said(policy, entry, error))
    _raise(errors)


def _said(policy: Policy, entry: Entry, error: SampanError) -> str:
    hint = f"\n  hint: {error.hint}" if error.hint else ""
    return f"{policy.path}:{entry.line}: {entry.text}: {error.message}{hint}"


def _raise(errors: list[str]) -> None:
    if errors:
        raise SampanError("\n".join(errors), code=EXIT_USAGE)


def _exact(rule: Rule) -> bool:
    return rule.major is not None and rule.minor is not None


def _join(rule: Rule, grants: list[Grant]) -> Grant:
    """The grants that became one rule."""
    parts = [grant for grant in grants if algebra.covers(rule, grant.rule)]
    devices = sorted({part.device for part in parts})
    origins = sorted({part.origin for part in parts})
    reasons = sorted({part.reason for part in parts} - {""})
    return Grant(rule, ", ".join(devices), "; ".join(origins), "; ".join(reasons))


def _apply(entry: Entry, grants: list[Grant], facts: Facts, rows: Catalogue) -> list[Grant]:
    """The grants after one more entry."""
    if entry.form == "wrong":
        raise SampanError(entry.wrong)
    if entry.form == "all":
        if entry.verb == "allow":
            raise SampanError("this allows every device", hint="allow what is needed, by name")
        return []
    new = _granted(entry, facts, rows)
    if entry.verb == "allow":
        return grants + [replace(grant, reason=entry.reason) for grant in new]
    for taken in new:
        algebra.subtract((grant.rule for grant in grants), taken.rule)  # raises when it would need a hole
        grants = [replace(grant, rule=left) for grant in grants for left in algebra.subtract([grant.rule], taken.rule)]
    return grants


def meant(entry: Entry, facts: Facts, rows: Catalogue) -> list[Rule]:
    """The rules that one entry means on a board, unjudged: what a runtime does that gets it."""
    if entry.rule is not None:
        return [entry.rule]
    found = symbols.nodes(facts, rows, entry.symbol)
    grants = _of_profile if entry.symbol.startswith("profile:") else _of_name
    return [grant.rule for grant in grants(entry, found, facts, rows)]


def _granted(entry: Entry, facts: Facts, rows: Catalogue) -> list[Grant]:
    if entry.rule is not None:
        return [_number(entry, entry.rule, facts, rows)]
    found = symbols.nodes(facts, rows, entry.symbol)
    if entry.symbol.startswith("profile:"):
        return _profile(entry, found, facts, rows)
    grants = _of_name(entry, found, facts, rows)
    if not grants and not entry.optional:
        raise SampanError(f"{facts.name} has no such device", hint=_has(facts, rows))
    for node in found:
        _refuse(entry, node, facts, rows)
    return grants


def _of_name(entry: Entry, found: list[Node], facts: Facts, rows: Catalogue) -> list[Grant]:
    """Nodes by any other name than a profile's; `char-pts` is a driver whose nodes come and go."""
    grants = [_grant(node, entry.access, entry.text, facts) for node in found]
    kind, driver = symbols.split_driver(entry.symbol)
    row = rows.devices.get(rows.of_driver(kind, driver)) if entry.symbol.startswith(("char-", "block-")) else None
    return grants + (_open_ended(row, entry.access, entry.text, facts) if row else [])


def _profile(entry: Entry, found: list[Node], facts: Facts, rows: Catalogue) -> list[Grant]:
    profile = rows.profile(entry.symbol.removeprefix("profile:"))
    usable = _usable(found, facts)
    grants = _of_profile(entry, found, facts, rows)
    if not grants:
        taken = ", ".join(node.name for node in found)
        why = f"{taken} is the host's console" if taken else "no such device"
        raise SampanError(f"{facts.name}: {why}", hint=_has(facts, rows))
    if profile.max and len(usable) > profile.max:
        names = [f"/dev/{node.name}" for node in usable]
        raise SampanError(
            f"{facts.name} has {len(usable)} of these: which one?",
            hint="name it: " + ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else ""),
        )
    for node in usable:
        _refuse(entry, node, facts, rows)
    return grants


def _usable(found: list[Node], facts: Facts) -> list[Node]:
    """A profile leaves the host's console out by itself, unless it is the one that names it."""
    return [node for node in found if node.name == "console" or not facts.is_console(*node.key)]


def _of_profile(entry: Entry, found: list[Node], facts: Facts, rows: Catalogue) -> list[Grant]:
    profile = rows.profile(entry.symbol.removeprefix("profile:"))
    access = entry.access if " " in entry.text else profile.access
    grants = [_grant(node, access, entry.text, facts) for node in _usable(found, facts)]
    for name in profile.devices:
        grants += _open_ended(rows.devices[name], access, entry.text, facts)
    return grants


def _open_ended(row: Device, access: str, text: str, facts: Facts) -> list[Grant]:
    """A harmless driver whose nodes come and go within its own major, as ptys do."""
    if row.danger != "harmless" or not any(span.minor[1] > span.minor[0] for span in row.spans):
        return []
    majors = [(driver, major) for driver in row.driver for major in facts.majors_of(row.type, driver)]
    return [Grant(_rule(f"{row.type} {major}:* {access}"), driver, f"{text}: {row.what}") for driver, major in majors]


def _number(entry: Entry, rule: Rule, facts: Facts, rows: Catalogue) -> Grant:
    """A number is kept when it is something on this board; what it is gets said."""
    if entry.verb == "deny":
        return Grant(rule, "", entry.text)
    if rule.major is None:
        raise SampanError("this allows every device of its kind", hint="allow what is needed, by name")
    found = meaning(facts, rows, rule)
    if not found.nodes and not found.driver:
        raise SampanError(f"{facts.name} has no such number", hint=_has(facts, rows))
    for node in found.nodes:
        _refuse(entry, node, facts, rows)
    if not found.nodes:
        for name in found.rows:
            _refuse_danger(entry, rows.devices[name])
    if len(found.nodes) == 1 and rule.minor is not None:
        return Grant(rule, found.short, _origin(entry.text, facts, found.nodes[0]))
    return Grant(rule, found.driver if not found.nodes else found.short, entry.text)


def _grant(node: Node, access: str, text: str, facts: Facts) -> Grant:
    return Grant(_rule(f"{node.number} {access}"), node.name, _origin(text, facts, node))


def _origin(text: str, facts: Facts, node: Node) -> str:
    place = where(facts, node)
    return f"{text}: {place}" if place else text


def _rule(text: str) -> Rule:
    rule = parse(text)
    assert rule is not None
    return rule


def _refuse(entry: Entry, node: Node, facts: Facts, rows: Catalogue) -> None:
    if entry.verb == "deny":
        return
    if facts.is_console(*node.key):
        raise SampanError(
            f"{node.name} is the host's console on {facts.name}",
            hint="a container's own console is a pty and needs no device rule",
        )
    name = rows.of_node(node)
    if name:
        _refuse_danger(entry, rows.devices[name])


def _refuse_danger(entry: Entry, row: Device) -> None:
    if row.danger in ("high", "never") and not entry.reason:
        raise SampanError(
            f"{row.what} is dangerous: {row.reason}",
            hint="if it must be, write the reason in a line above it: `# reason: ...`",
        )


def _has(facts: Facts, rows: Catalogue) -> str:
    """What could be asked for on this board."""
    kinds = {rows.of_node(node) for node in facts.nodes}
    names = [name for name, profile in rows.profiles.items() if kinds & set(profile.devices)]
    return f"{facts.name} has: {', '.join(names)}; `sampan devices who NAME --board {facts.name}` tells the nodes"
