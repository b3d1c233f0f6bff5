"""From numbers back to names: a list that was right on one board becomes right on all."""

from __future__ import annotations

import re

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts
from sampan.devices.policyfile import Entry, Policy, entry
from sampan.devices.resolve import meant


def named(policy: Policy, facts: Facts) -> str:
    """The policy in LXC's keys, with the names that its numbers have under these facts."""
    lines = []
    for each in policy.entries:
        if each.form == "wrong":
            raise SampanError(f"{policy.path}:{each.line}: {each.wrong}", code=EXIT_USAGE)
        lines += [f"# reason: {each.reason}"] if each.reason else []
        value = _value(each, facts)
        if value != each.text:
            lines.append(f"# was {each.text} on {facts.name}")
        lines.append(f"lxc.cgroup2.devices.{each.verb} = {value}")
    return "\n".join(lines) + "\n"


def without_profiles(text: str, facts: Facts, rows: Catalogue) -> str:
    """A configuration with the devices of its profiles by name, as the runtime takes them; the rest as it is.

    A target has no catalogue. Names are resolved there at each start, so they outlive the next kernel.
    """
    lines = []
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"\s*lxc\.cgroup2?\.devices\.(allow|deny)\s*", key):
            lines.append(line)
            continue
        asked = entry(0, "allow", value.strip())
        if asked.form != "name" or not asked.symbol.startswith("profile:"):
            lines.append(line)
            continue
        lines.append(f"# {value.strip()} on {facts.name}:")
        lines += [f"{key.rstrip()} = {symbol}" for symbol in _symbols(asked, facts, rows)]
    return "\n".join(lines)


def _symbols(asked: Entry, facts: Facts, rows: Catalogue) -> list[str]:
    found = []
    for rule in meant(asked, facts, rows):
        letters = str(rule).split()[2]
        node = facts.by_number.get((rule.kind, rule.major or 0, rule.minor if rule.minor is not None else -1))
        driver = facts.drivers(rule.kind, rule.major or 0)[0]
        word = "block" if rule.kind == "b" else "char"
        found.append(f"/dev/{node.name} {letters}" if node else f"{word}-{driver} {letters}")
    return list(dict.fromkeys(found))


def _value(asked: Entry, facts: Facts) -> str:
    rule = asked.rule
    if rule is None:
        return asked.text
    if rule.major is None or rule.minor is None:
        return str(rule)  # systemd's `char-254` is a number, too
    node = facts.by_number.get((rule.kind, rule.major, rule.minor))
    return f"/dev/{node.name} {asked.letters}" if node else str(rule)
