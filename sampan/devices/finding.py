"""What lint says about a line, and the table of all that it can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]

#: id -> what it finds; docs/devices.md and SARIF show these.
LINTS: dict[str, str] = {
    "dynamic-literal": "a number from a range that the kernel gives out while it boots",
    "differs-between-boards": "the device has another number on another board or kernel",
    "names-another-device": "the number is one device here and another there",
    "unresolved": "no board asked about has such a device",
    "stale": "the facts are not those of the kernel that is shipped",
    "too-wide": "a rule for more devices than there can be a reason for",
    "dangerous": "a dangerous device without a written reason",
    "host-owned": "the host's own console, disk or watchdog",
    "alias": "the same hardware through a second number, or one of a pair is missing",
    "shadowed": "stands twice, or another rule already covers it",
    "split-access": "r and w in two rules: not the same on cgroup v1 and v2",
    "no-effect": "a rule that changes nothing",
    "deny-partial": "a refusal of r or w alone, which LXC on cgroup v2 does not enforce",
    "parse": "no rule, or one that LXC or the kernel reads as something else",
    "mknod": "the right to make device nodes",
    "needs-cap": "writing to a device, of no use without a capability the container has not",
}


@dataclass(frozen=True)
class Finding:
    """One remark about one line of a file."""

    lint: str
    level: Level
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.level}: {self.message} [{self.lint}]"
