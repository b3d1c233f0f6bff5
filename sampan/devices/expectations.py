"""`sampan.devices.expect` lines of a list, judged by recorded kernels as the runtime judges them by the running one."""

from __future__ import annotations

from collections.abc import Iterator

from sampan.config.rules import Rule
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts
from sampan.devices.finding import Finding
from sampan.devices.names import NOTHING, holders, meaning, summary
from sampan.devices.policyfile import Expected, Policy


def about(lines: list[Expected], rule: Rule) -> list[Expected]:
    """The lines that say what a rule's numbers are: those of just these numbers, else those of the whole major."""
    said = [(line, line.rule) for line in lines if line.rule and line.rule.major is not None]
    exact = [line for line, other in said if other.key == rule.key]
    return exact or [line for line, other in said if other.key == (rule.kind, rule.major, None)]


def true(line: Expected, rule: Rule, facts: Facts) -> bool:
    """Are the numbers of `rule`, which the line is about, what it says?

    A driver that shares its major (misc, tty) says nothing about one minor: then the name must be the minor's own.
    """
    if line.rule is None or line.rule.minor is None:
        return line.name in holders(facts, rule)
    node = facts.by_number.get((line.rule.kind, line.rule.major or 0, line.rule.minor))
    return node is not None and node.name == line.name


def findings(policy: Policy, boards: list[Facts], rows: Catalogue) -> Iterator[Finding]:
    """Lines that cannot be read, and lines that refuse a start on each board that has the number."""
    for line in policy.expected:
        if line.rule is None:
            yield Finding("parse", "error", policy.path, line.line, f"expect {line.text}: {line.wrong}")
            continue
        names: dict[str, list[str]] = {}
        for facts in boards:
            names.setdefault(meaning(facts, rows, line.rule).brief, []).append(facts.name)
        if set(names) - {NOTHING} and not any(true(line, line.rule, facts) for facts in boards):
            text = f"expect {line.text}: so on no board, and the start is refused: {summary(names)}"
            yield Finding("names-another-device", "error", policy.path, line.line, text)
