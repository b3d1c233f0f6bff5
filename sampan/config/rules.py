"""A device policy as a set of rules, with the verdicts of the v1 `devices` controller.

The host's model of what the runtime (runtime/src/rules.c) and the kernel do; the three, and
the BPF program, are held together by tests/image/test_devpolicy.py. Pure: no system call.

Source of the semantics: security/device_cgroup.c of Linux and, for the shapes that are
refused here although the kernel takes them, what it takes them for.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Literal

from sampan.core.errors import SampanError

MAJOR_MAX = 4095  #: dev_t has 12 bits for the major number
MINOR_MAX = 1048575  #: and 20 for the minor
RULES_MAX = 512  #: what the runtime holds (DEVRULES_MAX)

Kind = Literal["b", "c"]
Verb = Literal["allow", "deny"]

_RULE = re.compile(r"(?P<kind>[bc]) (?P<major>\*|[0-9]{1,11}):(?P<minor>\*|[0-9]{1,11}) (?P<access>[rwm]{1,3})")


class Access(enum.IntFlag):
    """What a task does to a device; the bits are those of the kernel's BPF interface."""

    MKNOD = 1
    READ = 2
    WRITE = 4


_LETTERS = {"r": Access.READ, "w": Access.WRITE, "m": Access.MKNOD}


@dataclass(frozen=True)
class Rule:
    """One rule; a number that is None stands for all (`*`)."""

    kind: Kind
    major: int | None
    minor: int | None
    access: Access

    @property
    def key(self) -> tuple[Kind, int | None, int | None]:
        """Rules of one key are one rule: the kernel merges their access."""
        return self.kind, self.major, self.minor

    def concerns(self, kind: Kind, major: int, minor: int) -> bool:
        """Is this device among those the rule is about?"""
        return kind == self.kind and self.major in (None, major) and self.minor in (None, minor)

    def __str__(self) -> str:
        major, minor = ("*" if number is None else str(number) for number in (self.major, self.minor))
        letters = "".join(letter for letter, bit in _LETTERS.items() if bit & self.access)
        return f"{self.kind} {major}:{minor} {letters}"


def parse(value: str) -> Rule | None:
    """A rule from `TYPE MAJOR:MINOR ACCESS`; None for `a`, every device. Else a SampanError."""
    if value in ("a", "a *:* rwm"):
        return None
    found = _RULE.fullmatch(value)
    if not found or len(set(found["access"])) < len(found["access"]):
        raise SampanError(f"{value!r} is no device rule", hint="TYPE MAJOR:MINOR ACCESS, as in: c 1:3 rwm")
    access = Access(0)
    for letter in found["access"]:
        access |= _LETTERS[letter]
    kind: Kind = "b" if found["kind"] == "b" else "c"
    return Rule(kind, _number(value, found["major"], MAJOR_MAX), _number(value, found["minor"], MINOR_MAX), access)


def _number(value: str, text: str, highest: int) -> int | None:
    if text == "*":
        return None
    if int(text) > highest:
        raise SampanError(f"{value!r}: there is no device number {text}", hint=f"the highest is {highest}")
    return int(text)


@dataclass
class RuleSet:
    """Rules as they add up, from one that allows everything, as in the root cgroup."""

    allow_default: bool = True
    rules: dict[tuple[Kind, int | None, int | None], Rule] = field(default_factory=dict)

    def apply(self, verb: Verb, value: str) -> None:
        """One line of devices.allow or devices.deny; a SampanError leaves the set as it was."""
        rule = parse(value)
        if rule is None:
            self.allow_default = verb == "allow"
            self.rules.clear()
        elif self.allow_default == (verb == "deny"):
            self._add(rule)
        else:
            self._take(rule)

    def _add(self, rule: Rule) -> None:
        old = self.rules.get(rule.key)
        if old is None and len(self.rules) == RULES_MAX:
            raise SampanError(f"more than {RULES_MAX} device rules")
        access = rule.access | old.access if old else rule.access
        self.rules[rule.key] = Rule(*rule.key, access)

    def _take(self, rule: Rule) -> None:
        """Only the very same numbers: `c 1:5` takes nothing from `c 1:*`."""
        old = self.rules.get(rule.key)
        if old is None:
            return
        left = old.access & ~rule.access
        if left:
            self.rules[rule.key] = Rule(*rule.key, left)
        else:
            del self.rules[rule.key]

    def verdict(self, kind: Kind, major: int, minor: int, access: Access) -> bool:
        """May a task do all of `access` at once? A refusal needs one common bit, a permission all in one rule."""
        about = [rule for rule in self.rules.values() if rule.concerns(kind, major, minor)]
        if self.allow_default:
            return not any(rule.access & access for rule in about)
        return any(not access & ~rule.access for rule in about)
