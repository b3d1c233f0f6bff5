"""`lint`: everything that is wrong, risky or without effect in a device policy somebody wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sampan.config.rules import Access, Rule
from sampan.core.errors import SampanError
from sampan.devices import expectations
from sampan.devices.algebra import covers
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts
from sampan.devices.finding import Finding, Level
from sampan.devices.lint_rule import RuleLint
from sampan.devices.policyfile import Entry, Format, Policy

_SPLIT = "has the other letters: cgroup v1 and runc add them up, LXC, crun and systemd on v2 do not; write one rule"
_OPEN: dict[Format, str] = {
    "lxc": "every device of the target is open; a list begins with lxc.cgroup2.devices.deny = a",
    "systemd": "every device of the target is open; a list begins with DevicePolicy=strict",
    "oci": "the runtime decides what is open; runc on cgroup v1 leaves every device open",
    "docker": "the list is docker's own",
}
_LEVELS: tuple[Level, ...] = ("error", "warning", "note")


def check(policy: Policy, boards: list[Facts], rows: Catalogue, shipped: dict[str, str] | None = None) -> list[Finding]:
    """All findings about a policy, by line.

    `boards` are the facts it is judged by; `shipped` tells the kernel release that a board is
    built with, where that is known.
    """
    found = [*_stale(policy, boards, shipped or {}), *_open(policy), *_forms(policy), *_pairs(policy)]
    found += expectations.findings(policy, boards, rows)
    lints = []
    for entry in policy.entries:
        if entry.verb == "allow" and entry.form in ("number", "name"):
            try:
                lints.append(RuleLint(policy, entry, boards, rows))
            except SampanError as error:  # a profile that does not exist
                found.append(_say(policy, entry, "parse", "error", f"{error.message}; {error.hint}"))
    for lint in lints:
        found += lint.findings()
    found += _named_pairs(lints)
    found += _aliases(lints, rows)
    found += _mknod(policy)
    return sorted(set(found), key=lambda each: (each.line, _LEVELS.index(each.level), each.lint, each.message))


def _say(policy: Policy, entry: Entry, lint: str, level: Level, message: str) -> Finding:
    return Finding(lint, level, policy.path, entry.line, f"{entry.text}: {message}")


def _stale(policy: Policy, boards: list[Facts], shipped: dict[str, str]) -> Iterator[Finding]:
    for board in sorted({facts.board for facts in boards}):
        kernels = [facts.kernel for facts in boards if facts.board == board]
        if board in shipped and shipped[board] not in kernels:
            text = f"{board} is built with Linux {shipped[board]}, its facts are of {', '.join(kernels)}: probe again"
            yield Finding("stale", "warning", policy.path, 1, text)


def _open(policy: Policy) -> Iterator[Finding]:
    """A file without a rule is no list but the same as `allow = a`, unless the rules are in what it includes."""
    if policy.entries:
        return
    if policy.includes:
        text = "no device rule here: when the files it includes have none, every device is open; check them, too"
        yield Finding("too-wide", "warning", policy.path, 1, text)
    else:
        yield Finding("too-wide", "error", policy.path, 1, f"no device rule: {_OPEN[policy.format]}")


def _forms(policy: Policy) -> Iterator[Finding]:
    """What a line is, by itself and by what stands before it."""
    deny_all = False
    for entry in policy.entries:
        if entry.form == "wrong":
            yield _say(policy, entry, "parse", "error", entry.wrong)
        elif entry.form == "all":
            if entry.verb == "allow":
                yield _say(policy, entry, "too-wide", "error", "every device there is: no list at all")
            deny_all = entry.verb == "deny"
        elif entry.verb == "deny":
            yield from _deny(policy, entry, deny_all)
        elif not deny_all:
            text = "the list does not begin with deny = a: what it does not deny is allowed anyway"
            yield _say(policy, entry, "no-effect", "error", text)


def _deny(policy: Policy, entry: Entry, deny_all: bool) -> Iterator[Finding]:
    before = policy.entries[: policy.entries.index(entry)]
    if deny_all:
        same = entry.rule and any(
            each.rule and each.verb == "allow" and each.rule.key == entry.rule.key for each in before
        )
        if same and policy.format == "oci":
            text = "takes back what was allowed: remove it and the rule it is about"
        elif same:
            text = "only cgroup v1 takes it back; LXC on v2 ignores it: remove it and the rule it is about"
        else:
            v2 = "runc on v2 refuses it" if policy.format == "oci" else "LXC on v2 ignores it"
            text = f"no rule of exactly these numbers was allowed: on v1 nothing is taken away, {v2}"
        yield _say(policy, entry, "no-effect", "warning" if same else "error", text)
    elif entry.rule and entry.rule.access & (Access.READ | Access.WRITE) not in (0, Access.READ | Access.WRITE):
        text = "on cgroup v2 LXC, runc and crun let an open for reading and writing through; deny rw"
        yield _say(policy, entry, "deny-partial", "error", text)


def _pairs(policy: Policy) -> Iterator[Finding]:
    """What two allow rules are to each other."""
    seen: list[tuple[Entry, Rule]] = []
    for entry in policy.entries:
        if entry.form == "all":
            seen = []
        if entry.verb != "allow" or entry.rule is None:
            continue
        for other, rule in seen:
            yield from _pair(policy, entry, entry.rule, other, rule)
        seen.append((entry, entry.rule))


def _pair(policy: Policy, entry: Entry, rule: Rule, other: Entry, before: Rule) -> Iterator[Finding]:
    if rule.key == before.key and not rule.access & before.access:
        yield _say(policy, entry, "split-access", "error", f"line {other.line} {_SPLIT}")
    elif covers(before, rule):
        text = f"line {other.line} says it already" if before.key == rule.key else f"line {other.line} covers it"
        yield _say(policy, entry, "shadowed", "warning", f"{text} ({other.text})")
    elif covers(rule, before):
        yield _say(policy, other, "shadowed", "warning", f"line {entry.line} covers it ({entry.text})")


def _named_pairs(lints: list[RuleLint]) -> Iterator[Finding]:
    """What allow rules of which one is a name at least are to each other."""
    for number, lint in enumerate(lints):
        for other in lints[:number]:
            if lint.entry.form == other.entry.form == "number":
                continue
            mine, theirs = set(lint.entry.letters), set(other.entry.letters)
            if lint.entry.text.split()[0] == other.entry.text.split()[0] and not mine & theirs:
                yield lint.say("split-access", "error", f"line {other.entry.line} {_SPLIT}")
            elif mine <= theirs and _within(lint, other):
                text = f"line {other.entry.line} covers it ({other.entry.text})"
                yield lint.say("shadowed", "warning", text)
            elif theirs <= mine and _within(other, lint):
                text = f"line {lint.entry.line} covers it ({lint.entry.text})"
                yield other.say("shadowed", "warning", text)


def _within(lint: RuleLint, other: RuleLint) -> bool:
    """Is every device of `lint` one of `other` on each board, and will it be after a device is plugged in?"""
    if lint.entry.form == other.entry.form == "name" and lint.entry.symbol == other.entry.symbol:
        return True
    rule = lint.entry.rule
    one = rule.minor is not None if rule else re.fullmatch(r"/dev/[^*?[]+", lint.entry.symbol) is not None
    if not one or not any(lint.nodes.values()):
        return False
    return all(set(found) <= set(other.nodes.get(board, ())) for board, found in lint.nodes.items())


def _mknod(policy: Policy) -> Iterator[Finding]:
    """Said once: files that give m at all give it everywhere."""
    given = [entry for entry in policy.entries if entry.verb == "allow" and "m" in entry.letters]
    if given:
        more = f" (and {len(given) - 1} more rules)" if len(given) > 1 else ""
        text = f"m{more} lets the container plant device nodes on its root file system; make the nodes and drop the m"
        yield _say(policy, given[0], "mknod", "note", text)


def _aliases(lints: list[RuleLint], rows: Catalogue) -> Iterator[Finding]:
    first: dict[str, RuleLint] = {}
    for lint in lints:
        for name in lint.kinds if _narrow(lint) else ():
            first.setdefault(name, lint)
    for name, lint in first.items():
        for other in rows.devices[name].reaches:
            if (
                other in first
                and first[other] is not lint
                and (other > name or name not in rows.devices[other].reaches)
            ):
                text = f"{name} may be the same hardware as {other} of line {first[other].entry.line}"
                yield lint.say("alias", "note", text)
        for partner in rows.devices[name].partners:
            if partner not in first and _on(lint, partner):
                yield lint.say("alias", "warning", f"{name} goes with {partner}, which the list does not allow")


def _narrow(lint: RuleLint) -> bool:
    return lint.entry.rule is None or lint.entry.rule.major is not None


def _on(lint: RuleLint, name: str) -> bool:
    """Is there such a device where the policy is used? ptys always are."""
    if name in ("pts", "ptmx"):
        return True
    return any(lint.rows.of_node(node) == name for facts in lint.boards for node in facts.nodes)
