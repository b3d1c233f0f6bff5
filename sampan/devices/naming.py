"""From numbers back to names: a list that was right on one board becomes right on all."""

from __future__ import annotations

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.devices.facts import Facts
from sampan.devices.policyfile import Entry, Policy


def named(policy: Policy, facts: Facts) -> str:
    """The policy in LXC's keys, with the names that its numbers have under these facts."""
    lines = []
    for entry in policy.entries:
        if entry.form == "wrong":
            raise SampanError(f"{policy.path}:{entry.line}: {entry.wrong}", code=EXIT_USAGE)
        lines += [f"# reason: {entry.reason}"] if entry.reason else []
        value = _value(entry, facts)
        if value != entry.text:
            lines.append(f"# was {entry.text} on {facts.name}")
        lines.append(f"lxc.cgroup2.devices.{entry.verb} = {value}")
    return "\n".join(lines) + "\n"


def _value(entry: Entry, facts: Facts) -> str:
    rule = entry.rule
    if rule is None or rule.major is None or rule.minor is None:
        return entry.text
    node = facts.by_number.get((rule.kind, rule.major, rule.minor))
    return f"/dev/{node.name} {entry.letters}" if node else entry.text
