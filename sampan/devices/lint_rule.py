"""Lint of one rule: what it opens, on which boards, and how bad that is."""

from __future__ import annotations

from collections.abc import Iterator

from sampan.config.rules import Access, Rule
from sampan.devices import expectations, symbols
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts, Node
from sampan.devices.finding import Finding, Level
from sampan.devices.names import NOTHING, Meaning, kernels, meaning, summary
from sampan.devices.policyfile import Entry, Expected, Policy

DISKS = frozenset(
    {"scsi-disk", "virtio-disk", "mmc", "nvme-disk", "ide-disk", "xen-disk", "dm", "md", "bcache"}
    | {"mtd", "mtdblock", "ubi", "ubiblock"}
)
WATCHDOGS = frozenset({"watchdog", "watchdog-legacy"})
_SHOWN = 3  #: devices named as dangerous


class RuleLint:
    """Everything that can be said about one allow entry alone."""

    def __init__(self, policy: Policy, entry: Entry, boards: list[Facts], rows: Catalogue) -> None:
        self.policy, self.entry, self.boards, self.rows = policy, entry, boards, rows
        self.held: Expected | None = None  #: the line that refuses a start where the number is another device's
        self.elsewhere = False  #: is it another device's on some board?
        self._hold()
        self.meanings: dict[str, Meaning] = {}  #: by board, of a numeric rule
        self.nodes: dict[str, list[Node]] = {}  #: by board
        self.kinds: set[str] = set()  #: rows of the catalogue
        self._look()

    def _hold(self) -> None:
        """A number with an expect line is judged by the boards where it is what the line says: no other starts.

        A line that is right on no board holds nothing.
        """
        rule = self.entry.rule
        lines = expectations.about(self.policy.expected, rule) if rule else []
        agreeing = [
            facts for facts in self.boards if rule and all(expectations.true(line, rule, facts) for line in lines)
        ]
        if lines and agreeing and rule:
            self.held = lines[0]
            others = [facts for facts in self.boards if facts not in agreeing]
            self.elsewhere = any(meaning(facts, self.rows, rule).brief != NOTHING for facts in others)
            self.boards = agreeing

    def _look(self) -> None:
        rule = self.entry.rule
        for facts in self.boards:
            if rule is None:
                self.nodes[facts.name] = found = symbols.nodes(facts, self.rows, self.entry.symbol)
                self.kinds |= {self.rows.of_node(node) for node in found}
            else:
                self.meanings[facts.name] = means = meaning(facts, self.rows, rule)
                self.nodes[facts.name] = list(means.nodes)
                self.kinds |= set(means.rows)
        if rule is None:
            self.kinds |= symbols.rows(self.rows, self.entry.symbol)
        elif rule.major is not None:
            self.kinds |= set(self.rows.of_number(rule.kind, rule.major, rule.minor))
        self.kinds.discard("")

    def say(self, lint: str, level: Level, message: str) -> Finding:
        return Finding(lint, level, self.policy.path, self.entry.line, f"{self.entry.text}: {message}")

    def findings(self) -> Iterator[Finding]:
        """All remarks about the entry."""
        if self.entry.rule is not None:
            yield from self._wide(self.entry.rule)
            if self.entry.rule.major is not None:
                yield from self._number(self.entry.rule)
        else:
            yield from self._wide_name()
        yield from self._missing()
        if self._narrow():
            yield from self._danger()
            yield from self._host()
        yield from self._rights()

    def _narrow(self) -> bool:
        return self.entry.rule is None or self.entry.rule.major is not None

    def _wide(self, rule: Rule) -> Iterator[Finding]:
        if rule.major is None:
            if rule.access != Access.MKNOD:
                yield self.say("too-wide", "error", "every device there is, disks and memory too")
        elif rule.minor is None:
            dangers = [name for name in sorted(self.kinds) if self.rows.devices[name].danger != "harmless"]
            if dangers:
                text = f"every device of the major: {', '.join(dangers[:6])}; name the minors that are needed"
                yield self.say("too-wide", "warning", text)

    def _wide_name(self) -> Iterator[Finding]:
        """`char-misc`, `class:tty`: names of collections, of devices that have nothing to do with each other."""
        dangers = [name for name in sorted(self.kinds) if self.rows.devices[name].danger != "harmless"]
        if len(dangers) > 1 and not self.entry.symbol.startswith(("/dev/", "profile:")):
            text = f"not one kind of device but {', '.join(dangers[:6])}; name the nodes that are needed"
            yield self.say("too-wide", "warning", text)

    def _number(self, rule: Rule) -> Iterator[Finding]:
        names: dict[str, list[str]] = {}
        for facts in self.boards:
            names.setdefault(self.meanings[facts.name].brief, []).append(facts.name)
        dynamic = is_dynamic(rule) and not self.rows.of_number(rule.kind, rule.major or 0, rule.minor)
        if self.held and (dynamic or self.elsewhere):
            name, line = self.held.name, self.held.line
            text = f"sampan starts only where this is {name}, by line {line}; LXC passes over that line"
            yield self.say("dynamic-literal" if dynamic else "names-another-device", "note", text)
        elif dynamic:
            text = f"this number is given out while the kernel boots: {summary(names)}; write the name instead"
            yield self.say("dynamic-literal", "error", text)
        if rule.minor is not None and (len(self.kinds) > 1 or len(self._prefixes()) > 1):
            yield self.say("names-another-device", "error", f"not one device everywhere: {_apart(names, rule)}")
        if rule.minor is not None:
            yield from self._moves(rule)

    def _prefixes(self) -> set[str]:
        """Names without their number: one number may be ttyAMA0 and ttySAC0, of one kind."""
        return {node.name.rstrip("0123456789") for found in self.nodes.values() for node in found}

    def _moves(self, rule: Rule) -> Iterator[Finding]:
        for name in sorted({node.name for found in self.nodes.values() for node in found}):
            others: dict[str, list[str]] = {}
            for facts in self.boards:
                node = facts.by_name.get(name)
                if node and not rule.concerns(*node.key):
                    others.setdefault(node.number, []).append(facts.name)
            if others:
                yield self.say("differs-between-boards", "warning", f"{name} is elsewhere {summary(others)}")

    def _missing(self) -> Iterator[Finding]:
        rule = self.entry.rule
        if rule is not None and rule.major is None:
            return
        lacking = []
        for facts in self.boards:
            held = rule is not None and bool(self.meanings[facts.name].driver)
            if not self.nodes[facts.name] and not held and "pts" not in self.kinds:
                lacking.append(facts.name)
        if lacking and len(lacking) == len(self.boards):
            # A number that is kept for a device can become no other one: its module is not loaded, or it is plugged in.
            kept = self.rows.of_number(rule.kind, rule.major or 0, rule.minor) if rule else []
            level: Level = "note" if self.entry.optional else "warning" if kept else "error"
            more = f"; the number is kept for {', '.join(kept)}" if kept else ""
            yield self.say("unresolved", level, f"no such device on {kernels(lacking)}{more}")
        elif lacking and rule is None:
            yield self.say("unresolved", "note", "no such device on " + kernels(lacking))

    def _danger(self) -> Iterator[Finding]:
        worst = [name for name in sorted(self.kinds) if self.rows.devices[name].danger in ("high", "never")]
        if self.entry.reason or not worst:
            return
        for name in worst[:_SHOWN]:
            row = self.rows.devices[name]
            level: Level = "error" if row.danger == "never" else "warning"
            yield self.say(
                "dangerous", level, f"{row.what}: {row.reason}; write `# reason: ...` above it if it must be"
            )

    def _host(self) -> Iterator[Finding]:
        consoles = [
            facts.name
            for facts in self.boards
            if any(facts.is_console(*node.key) for node in self.nodes[facts.name]) or "console" in self.kinds
        ]
        if consoles:
            yield self.say("host-owned", "error", f"the console of the host on {kernels(consoles)}")
        if self.kinds & DISKS and not self.entry.reason:
            yield self.say("host-owned", "warning", "a disk or flash of the host; say in `# reason: ...` whose it is")
        if self.kinds & WATCHDOGS and not self.entry.reason:
            text = "the host's watchdog daemon cannot open it meanwhile; say in `# reason: ...` who feeds it"
            yield self.say("host-owned", "warning", text)

    def _rights(self) -> Iterator[Finding]:
        for name in sorted(self.kinds):
            lost = [cap for cap in self.rows.devices[name].caps if cap in self.policy.lost_caps]
            if lost and self._narrow() and "w" in self.entry.letters:
                text = f"to write to {name} is of no use without cap_{lost[0]}, which is dropped"
                yield self.say("needs-cap", "warning", text)


def is_dynamic(rule: Rule) -> bool:
    """Is the number in a range that the kernel gives out (reference: include/linux/fs.h, drivers/char/misc.c)?"""
    if rule.major is None:
        return False
    if rule.kind == "b":
        return 240 <= rule.major <= 254
    if rule.major == 10 and rule.minor is not None:
        return rule.minor < 128 or rule.minor > 255
    return 234 <= rule.major <= 254 or 384 <= rule.major <= 511


def _apart(names: dict[str, list[str]], rule: Rule) -> str:
    """What a number is, from the most common; `why` tells where."""
    ordered = sorted(names, key=lambda name: (name == NOTHING, -len(names[name]), name))
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    return f"{', '.join(ordered[:4])}{more}; `sampan devices why {rule.kind} {rule.major}:{rule.minor}` tells where"
