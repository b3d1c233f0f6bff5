"""Reading the device rules of files that people wrote: LXC configurations (both generations of
keys), OCI config.json and systemd units. Only the device part is read; what is wrong in a rule
stays in its entry, for lint to say with the line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sampan.config import symbols
from sampan.config.rules import Rule, Verb, parse
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import read_text

Format = Literal["lxc", "oci", "systemd", "docker"]
Form = Literal["all", "number", "name", "wrong"]

_LXC = re.compile(r"lxc\.cgroup2?\.devices\.(?P<verb>allow|deny)")
_PROFILE = re.compile(r"profile:\S+(?: [rwm]{1,3})?")
_REASON = re.compile(r"[#;]+\s*reason:\s*(?P<reason>\S.*)")
_UNIT = re.compile(r"^(\[(Service|Unit|Slice|Scope)\]|Device(Allow|Policy)\s*=)", re.MULTILINE)
_ALLOW = re.compile(r'"allow"\s*:')


@dataclass(frozen=True)
class Entry:
    """One rule as it stands in a file."""

    line: int
    verb: Verb
    text: str  #: as written; OCI's objects as `c 1:3 rwm`
    form: Form
    rule: Rule | None = None  #: of form number
    wrong: str = ""  #: why, of form wrong
    reason: str = ""  #: what a comment `# reason: ...` above it says
    default: str = "rw"  #: letters of a rule of form name that has none

    @property
    def symbol(self) -> str:
        """The name that a rule of form name asks for."""
        return self.text.split()[0]

    @property
    def letters(self) -> str:
        """What the rule gives of rwm; "" when it is none."""
        return str(self.rule).split()[2] if self.rule else self.access if self.form == "name" else ""

    @property
    def access(self) -> str:
        """Letters of a rule of form name."""
        words = self.text.removesuffix(" optional").split()
        return words[1] if len(words) > 1 else self.default

    @property
    def optional(self) -> bool:
        """May the device of a rule of form name be missing when the container starts?"""
        return self.text.endswith(" optional")


@dataclass
class Policy:
    """The device rules of one file, in their order."""

    path: str
    format: Format
    entries: list[Entry] = field(default_factory=list)
    lost_caps: frozenset[str] = frozenset()  #: capabilities (lower case, no cap_) the container has not

    @property
    def deny_all(self) -> bool:
        """Does the list begin from nothing (an allow-list)?"""
        return any(entry.verb == "deny" and entry.form == "all" for entry in self.entries)


def read(path: Path) -> Policy:
    """The policy of a file; its format is told by its name and content."""
    return loads(read_text(path), str(path))


def loads(text: str, path: str) -> Policy:
    """The policy of a text."""
    if text.lstrip().startswith("{"):
        return _oci(text, path)
    if text.lstrip().startswith("--device"):
        return _docker(text, path)
    if _UNIT.search(text):
        return _systemd(text, path)
    return _lxc(text, path)


def entry(line: int, verb: Verb, value: str, reason: str = "", default: str = "rw") -> Entry:
    """A rule from its text: number, name, `a`, or what is wrong with it."""
    try:
        if _PROFILE.fullmatch(value) or (symbols.is_symbol(value) and symbols.parse(value)):
            return Entry(line, verb, value, "name", reason=reason, default=default)
        rule = parse(value)
    except SampanError as error:
        return Entry(line, verb, value, "wrong", wrong=error.message, reason=reason)
    return Entry(line, verb, value, "number" if rule else "all", rule, reason=reason)


def _lines(text: str) -> Iterator[tuple[int, str, str, str]]:
    """(line, key, value, reason) of all `key = value` lines."""
    reason = ""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if found := _REASON.fullmatch(stripped):
            reason = found["reason"]
            continue
        if stripped.startswith(("#", ";")):
            continue
        key, equals, value = stripped.partition("=")
        if equals:
            yield number, key.strip(), value.strip(), reason
        reason = ""


_CAPS = frozenset({"sys_admin", "sys_time", "net_admin", "mknod", "sys_rawio"})


def _lxc(text: str, path: str) -> Policy:
    policy = Policy(path, "lxc")
    dropped: set[str] = set()
    for number, key, value, reason in _lines(text):
        if found := _LXC.fullmatch(key):
            verb: Verb = "allow" if found["verb"] == "allow" else "deny"
            if value:
                policy.entries.append(entry(number, verb, value, reason))
            else:
                policy.entries = [each for each in policy.entries if each.verb != verb]
        elif key in ("lxc.cap.drop", "lxc.cap.keep"):
            words = set(value.lower().split())
            dropped = dropped | words if key.endswith("drop") else dropped | set(_CAPS - words)
            dropped = dropped if value else set()
    policy.lost_caps = frozenset(dropped)
    return policy


def _systemd(text: str, path: str) -> Policy:
    policy = Policy(path, "systemd")
    kind = "auto"
    for number, key, value, reason in _lines(text):
        if key == "DevicePolicy":
            kind = value
        elif key == "DeviceAllow" and not value:
            policy.entries.clear()
        elif key == "DeviceAllow":
            spaced = " ".join(value.split())
            policy.entries.append(entry(number, "allow", spaced, reason, default="rwm"))
        elif key == "CapabilityBoundingSet" and value and not value.startswith("~"):
            policy.lost_caps = _CAPS - {word.lower().removeprefix("cap_") for word in value.split()}
    if policy.entries or kind in ("strict", "closed"):
        policy.entries.insert(0, Entry(1, "deny", "a", "all"))
    return policy


def _docker(text: str, path: str) -> Policy:
    """Flags of docker run, as `export` writes them and as compose files repeat them, one a line."""
    policy = Policy(path, "docker", [Entry(1, "deny", "a", "all")])
    for number, line in enumerate(text.split("\n"), 1):
        flag, _, value = line.strip().rstrip("\\").strip().replace("=", " ", 1).partition(" ")
        value = value.strip().strip("'\"")
        if flag == "--device":
            host, _, rest = value.partition(":")
            policy.entries.append(entry(number, "allow", f"{host} {rest.rpartition(':')[2] or 'rwm'}"))
        elif flag == "--device-cgroup-rule":
            policy.entries.append(entry(number, "allow", value))
        elif flag:
            raise SampanError(f"{path}:{number}: {line.strip()!r} is no --device flag", code=EXIT_USAGE)
    return policy


def _oci(text: str, path: str) -> Policy:
    try:
        data: Any = json.loads(text)
        devices = data.get("linux", {}).get("resources", {}).get("devices", [])
        bounding = data.get("process", {}).get("capabilities", {}).get("bounding")
        if not isinstance(devices, list) or not all(isinstance(device, dict) for device in devices):
            raise TypeError("linux.resources.devices is no list of objects")
    except json.JSONDecodeError as error:
        raise SampanError(f"{path}:{error.lineno}: not JSON: {error.msg}", code=EXIT_USAGE) from error
    except (AttributeError, TypeError) as error:
        raise SampanError(f"{path}: no OCI configuration: {error}", code=EXIT_USAGE) from error
    places = [text.count("\n", 0, found.start()) + 1 for found in _ALLOW.finditer(text)]
    lines = places if len(places) == len(devices) else [1] * len(devices)
    policy = Policy(path, "oci", [_oci_entry(line, device) for line, device in zip(lines, devices, strict=True)])
    if isinstance(bounding, list):
        policy.lost_caps = _CAPS - {str(cap).lower().removeprefix("cap_") for cap in bounding}
    return policy


def _oci_entry(line: int, device: dict[str, Any]) -> Entry:
    verb: Verb = "allow" if device.get("allow") is True else "deny"
    numbers = [device.get(name, -1) for name in ("major", "minor")]
    kind, access = device.get("type", "a"), device.get("access", "rwm")
    if kind == "a" and numbers == [-1, -1]:
        return Entry(line, verb, "a", "all")
    major, minor = ("*" if number in (-1, None) else str(number) for number in numbers)
    return entry(line, verb, f"{kind} {major}:{minor} {access}")
