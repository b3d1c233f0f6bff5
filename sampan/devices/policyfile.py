"""Reading the device rules of files that people wrote: LXC configurations (both generations of
keys), OCI config.json, CDI specifications, systemd units and docker's flags. Only the device part
is read; what is wrong in a rule stays in its entry, for lint to say with the line.
"""

from __future__ import annotations

import dataclasses
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

Format = Literal["lxc", "oci", "systemd", "docker", "cdi"]
Form = Literal["all", "number", "name", "wrong"]

_LXC = re.compile(r"lxc\.cgroup2?\.devices\.(?P<verb>allow|deny)")
_LXC_OTHER = re.compile(r"lxc\.cgroup2?\.device.*", re.IGNORECASE)
_EXPECT = "sampan.devices.expect"
_PROFILE = re.compile(r"profile:\S+(?: [rwm]{1,3})?")
_REASON = re.compile(r"[#;]+\s*reason:\s*(?P<reason>\S.*)")
_UNIT = re.compile(r"^(\[(Service|Unit|Slice|Scope)\]|Device(Allow|Policy)\s*=)", re.MULTILINE)
_ANY_LXC = re.compile(r"^\s*(lxc|sampan)\.[a-z0-9_.-]+\s*=", re.MULTILINE)
_ALLOW = re.compile(r'"allow"\s*:')
_NODE = re.compile(r'"path"\s*:\s*"/dev/')
_UNIT_DRIVER = re.compile(r"(char|block)-(\*|[0-9]+)")
_UNIT_LINK = re.compile(r"/dev/(char|block)/([0-9]+:[0-9]+)")


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


@dataclass(frozen=True)
class Expected:
    """A number with its name, which sampan compares with the running kernel before a start."""

    line: int
    text: str  #: as written
    rule: Rule | None = None  #: its numbers alone count; None when it is wrong
    name: str = ""  #: of the node; of the driver when the minor is `*`
    wrong: str = ""


@dataclass
class Policy:
    """The device rules of one file, in their order."""

    path: str
    format: Format
    entries: list[Entry] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    includes: bool = False  #: does it take rules from other files, which are not read?
    lost_caps: frozenset[str] = frozenset()  #: capabilities (lower case, no cap_) the container has not

    @property
    def deny_all(self) -> bool:
        """Does the list begin from nothing (an allow-list)?"""
        return any(entry.verb == "deny" and entry.form == "all" for entry in self.entries)


def read(path: Path) -> Policy:
    """The policy of a file; its format is told by its content. A file that cannot be read is the caller's mistake."""
    try:
        text = read_text(path)
        if not _known(text):
            hint = "lxc.KEY = VALUE, OCI's config.json, a CDI specification, a systemd unit or docker's --device flags"
            raise SampanError(f"{path}: empty, or no configuration of a container", hint=hint)
        return loads(text, str(path))
    except SampanError as error:
        error.code = EXIT_USAGE
        raise


def loads(text: str, path: str) -> Policy:
    """The policy of a text."""
    if text.lstrip().startswith("{"):
        data = _json(text, path)
        return _cdi(text, path, data) if "cdiVersion" in data else _oci(text, path, data)
    if text.lstrip().startswith("--device"):
        return _docker(text, path)
    if _UNIT.search(text):
        return _systemd(text, path)
    return _lxc(text, path)


def _known(text: str) -> bool:
    """Is there anything of a format that is read here? Of JSON `_oci` asks itself."""
    return text.lstrip().startswith(("{", "--device")) or bool(_UNIT.search(text) or _ANY_LXC.search(text))


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


def _expected(line: int, value: str) -> Expected:
    try:
        return Expected(line, value, *symbols.parse_expected(value))
    except SampanError as error:
        return Expected(line, value, wrong=error.message)


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
        elif _LXC_OTHER.fullmatch(key):
            wrong = f"there is no key {key}: a rule is lxc.cgroup2.devices.allow or .deny"
            policy.entries.append(Entry(number, "allow", value, "wrong", wrong=wrong, reason=reason))
        elif key == "lxc.include":
            policy.includes |= bool(value)
        elif key == _EXPECT:
            policy.expected = [*policy.expected, _expected(number, value)] if value else []
        elif key in ("lxc.cap.drop", "lxc.cap.keep"):
            words = set(value.lower().split())
            dropped = dropped | words if key.endswith("drop") else dropped | set(_CAPS - words)
            dropped = dropped if value else set()
    policy.lost_caps = frozenset(dropped)
    return policy


def _systemd(text: str, path: str) -> Policy:
    policy = Policy(path, "systemd")
    kind, private = "auto", False  # PrivateDevices= makes `closed` of `auto`: systemd.exec(5)
    for number, key, value, reason in _lines(text):
        if key == "DevicePolicy":
            kind = value
        elif key == "DeviceAllow" and not value:
            policy.entries.clear()
        elif key == "DeviceAllow":
            policy.entries.append(_systemd_entry(number, " ".join(value.split()), reason))
        elif key == "PrivateDevices" and value.lower() in ("1", "yes", "y", "true", "t", "on"):
            private = True
        elif key == "CapabilityBoundingSet" and value:
            words = {word.lower().removeprefix("cap_") for word in value.removeprefix("~").split()}
            policy.lost_caps = policy.lost_caps | words if value.startswith("~") else _CAPS - words
    if policy.entries or private or kind in ("strict", "closed"):
        policy.entries.insert(0, Entry(1, "deny", "a", "all"))
    return policy


def _systemd_entry(line: int, value: str, reason: str) -> Entry:
    """What systemd makes of it: numbers stand in names only (bpf-devices.c: char-254, /dev/char/254:0)."""
    word, _, letters = value.partition(" ")
    numbers = ""
    if found := _UNIT_DRIVER.fullmatch(word):
        numbers = f"{found[2]}:*"
    elif found := _UNIT_LINK.fullmatch(word):
        numbers = found[2]
    if found:
        read = entry(line, "allow", f"{found[1][0]} {numbers} {letters or 'rwm'}", reason)
        return dataclasses.replace(read, text=value)
    odd = value.endswith(" optional") or (word.startswith("/dev/") and any(mark in word for mark in "*?["))
    if odd or not word.startswith(("/dev/", "char-", "block-")):
        text = f"{value!r} is none of systemd's: /dev/NODE, char-DRIVER or block-DRIVER, and letters of rwm"
        return Entry(line, "allow", value, "wrong", wrong=text, reason=reason)
    return entry(line, "allow", value, reason, default="rwm")


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


def _json(text: str, path: str) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(text)  # it begins with a brace
    except json.JSONDecodeError as error:
        raise SampanError(f"{path}:{error.lineno}: not JSON: {error.msg}", code=EXIT_USAGE) from error
    return data


def _cdi(text: str, path: str, data: dict[str, Any]) -> Policy:
    """A specification of CDI: what its devices add to the list of whoever runs the container."""
    try:
        edits = [data.get("containerEdits", {}), *(device["containerEdits"] for device in data["devices"])]
        nodes = [node for each in edits for node in each.get("deviceNodes", [])]
        values = [_cdi_value(node) for node in nodes]
    except (AttributeError, KeyError, TypeError) as error:
        raise SampanError(f"{path}: no CDI specification: {error!r}", code=EXIT_USAGE) from error
    places = [text.count("\n", 0, found.start()) + 1 for found in _NODE.finditer(text)]
    lines = places if len(places) == len(nodes) else [1] * len(nodes)
    entries = [entry(line, "allow", value) for line, value in zip(lines, values, strict=True)]
    return Policy(path, "cdi", [Entry(1, "deny", "a", "all"), *entries])


def _cdi_value(node: dict[str, Any]) -> str:
    """By number where it has one: that is what runtimes take then."""
    access = node.get("permissions") or "rwm"
    if "major" in node:
        return f"{node.get('type') or 'c'} {node['major']}:{node.get('minor', 0)} {access}"
    return f"{node.get('hostPath') or node['path']} {access}"


def _oci(text: str, path: str, data: dict[str, Any]) -> Policy:
    try:
        if not {"linux", "ociVersion"} & set(data):
            raise TypeError("it has neither `linux` nor `ociVersion`")
        devices = data.get("linux", {}).get("resources", {}).get("devices", [])
        bounding = data.get("process", {}).get("capabilities", {}).get("bounding")
        if not isinstance(devices, list) or not all(isinstance(device, dict) for device in devices):
            raise TypeError("linux.resources.devices is no list of objects")
    except (AttributeError, TypeError) as error:
        raise SampanError(f"{path}: no OCI configuration: {error}", code=EXIT_USAGE) from error
    lines = _oci_lines(text, devices)
    policy = Policy(path, "oci", [_oci_entry(line, device) for line, device in zip(lines, devices, strict=True)])
    if isinstance(bounding, list):
        policy.lost_caps = _CAPS - {str(cap).lower().removeprefix("cap_") for cap in bounding}
    return policy


def _oci_lines(text: str, devices: list[dict[str, Any]]) -> list[int]:
    """Where each object is: at its `allow`; one without has the line of the one before."""
    places = [text.count("\n", 0, found.start()) + 1 for found in _ALLOW.finditer(text)]
    if len(places) != sum("allow" in device for device in devices):
        return [1] * len(devices)
    lines, line = [], 1
    for device in devices:
        line = places.pop(0) if "allow" in device else line
        lines.append(line)
    return lines


def _oci_entry(line: int, device: dict[str, Any]) -> Entry:
    verb: Verb = "allow" if device.get("allow") is True else "deny"
    numbers = [device.get(name, -1) for name in ("major", "minor")]
    kind, access = device.get("type", "a"), device.get("access", "rwm")
    if wrong := _oci_wrong(device):
        return Entry(line, verb, json.dumps(device), "wrong", wrong=wrong)
    kind = "c" if kind == "u" else kind  # mknod(1)'s other word for it
    if kind == "a" and numbers == [-1, -1]:
        return Entry(line, verb, "a", "all")
    major, minor = ("*" if number in (-1, None) else str(number) for number in numbers)
    return entry(line, verb, f"{kind} {major}:{minor} {access}")


def _oci_wrong(device: dict[str, Any]) -> str:
    """Why runc and crun refuse the object, or ""; what they take is judged as a rule."""
    if not isinstance(device.get("allow"), bool):
        return "`allow` must be there, true or false"
    for name in ("major", "minor"):
        number = device.get(name)
        if number is not None and type(number) is not int:
            return f"`{name}` must be a whole number"
    for name in ("type", "access"):
        if not isinstance(device.get(name, ""), str):
            return f"`{name}` must be a string"
    return ""
