"""Seccomp policies in LXC's text formats (lxc.container.conf(5), lxc.seccomp.profile).

Version 1 lists numbers of calls that are allowed. Version 2:

    2
    denylist                  (or allowlist; behind it an action that replaces the usual one)
    [all]                     (or [x86_64], [x86], [arm64], [arm]: what follows is for these alone)
    kexec_load errno 1        (kill, trap, allow, errno N)
    ioctl errno 1 [1,0x5412,SCMP_CMP_MASKED_EQ,0xffffffff]

What LXC passes over (a call that nobody knows, an architecture that is misspelt) is an error here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from sampan.config import seccomp_calls as calls
from sampan.core.errors import EXIT_USAGE, SampanError, nearest

#: include/uapi/linux/seccomp.h; `kill` is that of libseccomp's SCMP_ACT_KILL: the thread
KILL, TRAP, ERRNO, ALLOW = 0x00000000, 0x00030000, 0x00050000, 0x7FFF0000
ERRNO_MAX = 4095

Op = Literal["ne", "lt", "le", "eq", "ge", "gt", "masked"]
_OPS: dict[str, Op] = {
    "SCMP_CMP_NE": "ne", "!=": "ne", "SCMP_CMP_LT": "lt", "<": "lt", "SCMP_CMP_LE": "le", "<=": "le",
    "SCMP_CMP_EQ": "eq", "==": "eq", "SCMP_CMP_GE": "ge", ">=": "ge", "SCMP_CMP_GT": "gt", ">": "gt",
    "SCMP_CMP_MASKED_EQ": "masked", "&=": "masked",
}  # fmt: skip
_ARCHES = {"x86_64": "x86_64", "x86": "x86", "i386": "x86", "i686": "x86", "arm64": "arm64", "aarch64": "arm64",
           "arm": "arm", "armv7": "arm", "all": "all"}  # fmt: skip
#: Names of LXC's sections that no board of ours has: what stands in them is passed over.
_FOREIGN = frozenset({
    "x32", "mips", "mips64", "mips64n32", "mipsel", "mipsel64", "mipsel64n32", "ppc", "ppc64", "ppc64le", "s390",
    "s390x", "riscv64", "loongarch64",
})  # fmt: skip
_RULE = re.compile(
    r"(?P<call>[a-z0-9_]+)(?:\s+(?P<action>[a-z]+)(?:\s+(?P<errno>\d+))?)?\s*(?P<args>(?:\[[^\]]*\]\s*)*)"
)
_UMOUNT_FORCE = "umount2 errno 13 [1,1,SCMP_CMP_MASKED_EQ,1]"


@dataclass(frozen=True)
class Condition:
    """One comparison of an argument (0 to 5) with a value of 64 bits."""

    index: int
    op: Op
    value: int
    mask: int = 2**64 - 1


@dataclass(frozen=True)
class Rule:
    """What happens to a call when all conditions hold."""

    line: int
    call: str
    action: int
    conditions: tuple[Condition, ...] = ()
    abi: str = "all"  #: name of the one ABI it is for
    number: int | None = None  #: of version 1, which has no names


@dataclass
class Policy:
    """A policy: rules, and what happens to the calls that no rule is about."""

    path: str
    default: int
    rules: list[Rule] = field(default_factory=list)
    native_only: bool = False  #: version 1 is about the runtime's own ABI


class _Reader:
    def __init__(self, path: str) -> None:
        self.path, self.number, self.abi = path, 0, "all"

    def wrong(self, why: str, hint: str = "") -> SampanError:
        return SampanError(f"{self.path}:{self.number}: {why}", hint=hint, code=EXIT_USAGE)

    def action(self, word: str, errno: str | None) -> int:
        if word == "notify":
            raise self.wrong("notify needs a process that answers, which sampan has not", "errno 1 refuses the call")
        if (word == "errno") != (errno is not None):
            raise self.wrong("an action is kill, trap, allow or errno NUMBER")
        if word == "errno":
            if int(errno or 0) > ERRNO_MAX:
                raise self.wrong(f"the highest errno is {ERRNO_MAX}")
            return ERRNO | int(errno or 0)
        actions = {"kill": KILL, "trap": TRAP, "allow": ALLOW}
        if word not in actions:
            raise self.wrong(f"{word!r} is no action", "kill, trap, allow or errno NUMBER")
        return actions[word]

    def conditions(self, text: str) -> tuple[Condition, ...]:
        return tuple(self.condition(part) for part in re.findall(r"\[([^\]]*)\]", text))

    def condition(self, text: str) -> Condition:
        parts = [part.strip() for part in text.split(",")]
        op = _OPS.get(parts[2]) if len(parts) in (3, 4) else None
        if op is None or (op == "masked") != (len(parts) == 4):
            raise self.wrong(f"[{text}] is no condition", "[ARGUMENT,VALUE,OPERATOR] or [ARGUMENT,VALUE,&=,MASK]")
        try:
            index, value, mask = int(parts[0], 0), int(parts[1], 0), int(parts[3], 0) if op == "masked" else -1
        except ValueError as error:
            raise self.wrong(f"[{text}]: not a number") from error
        if not 0 <= index <= 5 or not all(-(2**63) <= number < 2**64 for number in (value, mask)):
            raise self.wrong(f"[{text}]: arguments are 0 to 5, values have 64 bits")
        return Condition(index, op, value % 2**64, mask % 2**64)

    def rule(self, text: str, usual: int) -> Rule:
        if text.startswith("reject_force_umount"):
            text = _UMOUNT_FORCE
        found = _RULE.fullmatch(text)
        if found is None:
            raise self.wrong(f"{text!r} is no rule", "CALL [ACTION] [CONDITIONS], as in: mount errno 1")
        if found["call"] not in calls.known():
            near = nearest(found["call"], calls.known())
            raise self.wrong(
                f"no architecture has a system call {found['call']}", f"did you mean {near}?" if near else ""
            )
        action = self.action(found["action"], found["errno"]) if found["action"] else usual
        return Rule(self.number, found["call"], action, self.conditions(found["args"]), self.abi)


def parse(text: str, path: str) -> Policy:
    """The policy of a text; a SampanError names file and line."""
    reader = _Reader(path)
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.partition("#")[0].strip()
        if stripped:
            lines.append((number, stripped))
    if len(lines) < 2:
        raise reader.wrong("a policy begins with its version and allowlist or denylist")
    reader.number, version = lines[0]
    if version not in ("1", "2"):
        raise reader.wrong(f"version {version!r} is neither 1 nor 2")
    reader.number, kind = lines[1]
    words = kind.split()
    if words[0] not in ("allowlist", "whitelist", "denylist", "blacklist"):
        raise reader.wrong(f"{words[0]!r} is neither allowlist nor denylist")
    allows = words[0] in ("allowlist", "whitelist")
    if version == "1":
        return _version_1(reader, lines[2:], allows and len(words) == 1)
    return _version_2(reader, lines[2:], words[1:], allows)


def _version_1(reader: _Reader, lines: list[tuple[int, str]], allows: bool) -> Policy:
    if not allows:
        raise reader.wrong("version 1 knows nothing but allowlist", "version 2 has the rest")
    policy = Policy(reader.path, KILL, native_only=True)
    for reader.number, line in lines:
        if not line.isascii() or not line.isdigit() or int(line) >= 2**30:
            raise reader.wrong(f"{line!r} is no number of a system call")
        policy.rules.append(Rule(reader.number, line, ALLOW, number=int(line)))
    return policy


def _version_2(reader: _Reader, lines: list[tuple[int, str]], action: list[str], allows: bool) -> Policy:
    given = reader.action(action[0], action[1] if len(action) > 1 else None) if action else KILL
    if len(action) > 2:
        raise reader.wrong("behind the action there can be nothing")
    policy = Policy(reader.path, given if allows else ALLOW)
    for reader.number, line in lines:
        if line.startswith("["):
            reader.abi = _section(reader, line)
        elif reader.abi:
            policy.rules.append(reader.rule(line, ALLOW if allows else given))
    return policy


def _section(reader: _Reader, line: str) -> str:
    name = line.strip("[]").strip().lower()
    if line != f"[{line.strip('[]')}]" or (name not in _ARCHES and name not in _FOREIGN):
        raise reader.wrong(f"{line} is no architecture", f"[all], {', '.join(f'[{abi.name}]' for abi in calls.ABIS)}")
    return _ARCHES.get(name, "")
