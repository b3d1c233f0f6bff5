"""Sets of allow rules: cover, overlap, merge, subtract. Pure; exact for every number there can be.

Verdicts are those of rules.RuleSet beginning from nothing: one rule must cover all that is
asked at once, and rules of the same numbers are one rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from sampan.config.rules import Rule
from sampan.core.errors import SampanError


def covers(wide: Rule, narrow: Rule) -> bool:
    """Does `wide` allow everything that `narrow` allows?"""
    return _about_all_of(wide, narrow) and not narrow.access & ~wide.access


def overlap(one: Rule, other: Rule) -> bool:
    """Is there a device and an access that both are about?"""
    return (
        one.kind == other.kind
        and (one.major is None or other.major is None or one.major == other.major)
        and (one.minor is None or other.minor is None or one.minor == other.minor)
        and bool(one.access & other.access)
    )


def merge(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The smallest list with the same verdicts, sorted: characters first, by number, `*` first."""
    by_key: dict[object, Rule] = {}
    for rule in rules:
        old = by_key.get(rule.key)
        by_key[rule.key] = Rule(*rule.key, rule.access | old.access) if old else rule
    merged = [rule for rule in by_key.values() if rule.access]
    kept = [rule for rule in merged if not any(covers(other, rule) for other in merged if other is not rule)]
    return tuple(sorted(kept, key=order))


def subtract(rules: Iterable[Rule], taken: Rule) -> tuple[Rule, ...]:
    """Rules that allow what `rules` allow without `taken`.

    Rules have no exceptions: a hole in a wider rule cannot be said and is a SampanError.
    """
    left = []
    for rule in merge(rules):
        if not overlap(rule, taken):
            left.append(rule)
        elif not _about_all_of(taken, rule):
            raise SampanError(
                f"{taken} cannot be taken from {rule}: a list of devices has no exceptions",
                hint="allow the devices that are needed one by one",
            )
        elif rule.access & ~taken.access:
            left.append(Rule(*rule.key, rule.access & ~taken.access))
    return merge(left)


def order(rule: Rule) -> tuple[bool, int, int]:
    """For sorting: a list that is generated twice is the same text."""
    numbers = (-1 if number is None else number for number in (rule.major, rule.minor))
    return (rule.kind == "b", *numbers)  # type: ignore[return-value]


def _about_all_of(wide: Rule, narrow: Rule) -> bool:
    return wide.kind == narrow.kind and wide.major in (None, narrow.major) and wide.minor in (None, narrow.minor)
