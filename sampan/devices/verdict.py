"""What a running kernel lets a container do, against what its policy says. Pure; prober.c asks the kernel.

A device is asked four times: to read, to write, to do both at once, to make its node. The
policy's answer is rules.RuleSet's, the kernel's an errno number: 0, or EPERM from the device
cgroup; any other was not the list's doing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sampan.config.rules import Access, Kind, RuleSet
from sampan.core.errors import SampanError
from sampan.devices.catalogue import Catalogue
from sampan.devices.facts import Facts
from sampan.devices.policyfile import Policy
from sampan.devices.resolve import meant

Number = tuple[Kind, int, int]
Ask = Literal["read", "write", "both", "mknod"]
ASKS: dict[Ask, Access] = {
    "read": Access.READ,
    "write": Access.WRITE,
    "both": Access.READ | Access.WRITE,
    "mknod": Access.MKNOD,
}
UNTRIED = 255  #: as prober.c says it


@dataclass(frozen=True)
class Answer:
    """errno of each try; `open` is of really opening it, for devices whose drivers do not mind."""

    read: int
    write: int
    both: int
    mknod: int
    open: int = UNTRIED

    def of(self, ask: Ask) -> int:
        return {"read": self.read, "write": self.write, "both": self.both, "mknod": self.mknod}[ask]


REFUSED = Answer(errno.EPERM, errno.EPERM, errno.EPERM, errno.EPERM)


@dataclass(frozen=True)
class Mismatch:
    """The kernel does something else than the policy says."""

    number: Number
    ask: Ask
    wanted: bool  #: does the policy allow it?
    why: str


def in_force(policy: Policy, facts: Facts, rows: Catalogue) -> RuleSet:
    """The policy as rules on this board. A name that the board has not is a SampanError."""
    model = RuleSet()
    for entry in policy.entries:
        where = f"{policy.path}:{entry.line}: {entry.text}"
        if entry.form == "wrong":
            raise SampanError(f"{where}: {entry.wrong}")
        rules = ["a"] if entry.form == "all" else [str(rule) for rule in meant(entry, facts, rows)]
        if not rules and not entry.optional:
            raise SampanError(f"{where}: {facts.name} has no such device")
        for rule in rules:
            model.apply(entry.verb, rule)
    return model


def listed(text: str) -> RuleSet | None:
    """The rules of a cgroup's `devices.list`; None when it is no such list."""
    model = RuleSet()
    model.apply("deny", "a")
    try:
        for line in text.split("\n"):
            if line.strip():
                model.apply("allow", line.strip())
    except SampanError:
        return None
    return model if text.strip() else None


def sweep(facts: Iterable[Facts], *models: RuleSet) -> list[Number]:
    """Numbers to ask beside those of a coarse grid: all devices, and what rules name, with their neighbours."""
    numbers = {node.key for each in facts for node in each.nodes}
    for model in models:
        for rule in model.rules.values():
            for major in _near(rule.major):
                numbers |= {(rule.kind, major, minor) for minor in _near(rule.minor)}
    return sorted(number for number in numbers if number[1:] != (0, 0))  # 0:0 is never asked about


def _near(number: int | None) -> list[int]:
    return [0, 1] if number is None else [each for each in (number - 1, number, number + 1) if each >= 0]


def letters(model: RuleSet, number: Number) -> str:
    """What a model allows, as rwm; `r|w` when each is allowed but not both at once."""
    return spelled(*(model.verdict(*number, access) for access in ASKS.values()))


def spelled(read: bool, write: bool, both: bool, mknod: bool) -> str:
    """Four answers as letters."""
    rw = "rw" if both else "r|w" if read and write else "r" * read + "w" * write
    return rw + "m" * mknod


def spell(number: Number) -> str:
    """As prober.c takes it: c252:0."""
    return f"{number[0]}{number[1]}:{number[2]}"


def answers(text: str) -> tuple[dict[Number, Answer], int]:
    """What prober.c printed: the numbers that are not refused altogether, and how many it asked about."""
    found: dict[Number, Answer] = {}
    for line in text.split("\n"):
        words = line.split()
        if len(words) == 2 and words[0] == "end" and words[1].isdigit():
            return found, int(words[1])
        if len(words) == 6 and words[0][:1] in ("b", "c") and all(word.isdigit() for word in words[1:]):
            major, _, minor = words[0][1:].partition(":")
            kind: Kind = "b" if words[0][0] == "b" else "c"
            found[kind, int(major), int(minor)] = Answer(*map(int, words[1:]))
        elif words:
            raise SampanError(f"the prober said {line.strip()!r}", hint="is it the container's own program?")
    raise SampanError("the prober did not come to its end in the container")


def compare(
    wanted: RuleSet,
    said: Mapping[Number, Answer],
    asked: Iterable[Number],
    actual: RuleSet | None,
    *,
    may_mknod: bool,
) -> list[Mismatch]:
    """Every answer that is not the policy's. Without the right to make nodes at all, m is not looked at.

    `actual` is the list that the container's cgroup holds, if it can be read: it tells whose fault it is.
    """
    found = []
    for number in asked:
        answer = said.get(number, REFUSED)
        for ask, access in ASKS.items():
            if ask == "mknod" and not may_mknod:
                continue
            allowed, code = wanted.verdict(*number, access), answer.of(ask)
            if code != (0 if allowed else errno.EPERM):
                found.append(Mismatch(number, ask, allowed, _why(number, access, code, actual)))
        if answer.open not in (UNTRIED, answer.both):
            why = f"opening it says {_name(answer.open)}, access(2) said {_name(answer.both)}"
            found.append(Mismatch(number, "both", wanted.verdict(*number, ASKS["both"]), why))
    return found


def _why(number: Number, access: Access, code: int, actual: RuleSet | None) -> str:
    if code not in (0, errno.EPERM):
        return f"{_name(code)}: not the device list, but file modes, a mount or a security module"
    if code == 0:
        if actual is None:
            return "nothing refuses it: the container has no device list, or one that cannot be read"
        rule = next((r for r in actual.rules.values() if r.concerns(*number) and not access & ~r.access), None)
        if rule or actual.allow_default:
            said = f"`{rule}`" if rule else "everything but what it denies"
            return f"the list in its cgroup allows {said}: another list than the policy, or changed since the start"
        return "the list in its cgroup refuses it, and the kernel allows it all the same: report this"
    if actual is not None and actual.verdict(*number, access):
        return "the list in its cgroup allows it: a cgroup above refuses it"
    return "the list in its cgroup has no rule for it" if actual else "its cgroup refuses it"


def _name(code: int) -> str:
    return "0" if code == 0 else f"{errno.errorcode.get(code, code)} ({os.strerror(code)})"
