"""A container's configuration in memory, as python-lxc's getters and setters see it.

It is read from the target at once and written back at once; between that nothing goes over the line.
What a person wrote stays as it is, comments and order too, as far as only other keys are changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from sampan.config import keys
from sampan.config.load import check_line
from sampan.config.lookup import find

_UNKNOWN = "Invalid configuration key"  #: liblxc's words, which python-lxc passes on
_GROUPS = ("lxc.cgroup", "lxc.cgroup2", "lxc.net", "lxc.prlimit", "lxc.proc", "lxc.sysctl")
#: Kinds that liblxc prints as "0" when nothing is set.
_ZERO = ("bool", "count", "id", "size", "signal")
#: What liblxc says of keys that are not set, where it is neither that nor nothing.
_DEFAULTS = {
    "lxc.apparmor.allow_incomplete": "0",
    "lxc.apparmor.allow_nesting": "0",
    "lxc.autodev.tmpfs.size": "0",
    "lxc.cgroup.relative": "0",
    "lxc.sched.core": "0",
    "lxc.seccomp.allow_nesting": "0",
    "lxc.autodev": "1",
    "lxc.log.level": "NOTSET",
    "lxc.monitor.signal.pdeath": "9",
    "lxc.rootfs.managed": "1",
    "lxc.init.groups": "",
}
#: Accumulating keys that liblxc gives as one text, and those whose lines hold several values.
_JOINED = ("lxc.mount.auto",)
_SPLIT = ("lxc.cap.drop", "lxc.cap.keep", "lxc.group")
_INTERFACE = re.compile(r"lxc\.net\.([0-9]+)")
#: The first word of keys that every interface has, and of those that all but an empty one have.
_LEAST = {"type", "script"}
_COMMON = {"flags", "link", "name", "hwaddr", "mtu", "ipv4", "ipv6", "l2proxy"}
#: Lines that say something about others: after these a changed file is written as what it comes to.
_ENTANGLED = re.compile(r"^\s*lxc\.(include|network)\b", re.MULTILINE)

Entries = list[tuple[str, str]]


@cache
def _table() -> keys.Table:
    return keys.load(keys.default_path())


class LxcConfig:
    """A text and what it comes to (modern names).

    >>> config = LxcConfig()
    >>> config.replace("lxc.cap.drop", ["sys_module", "mac_admin"])
    True
    >>> config.get("lxc.cap.drop")
    ['sys_module', 'mac_admin']
    >>> config.get("lxc.tty.max")
    '0'
    >>> config.replace("lxc.tty.max", "many")
    False
    """

    def __init__(self, text: str = "", entries: Iterable[tuple[str, str]] = ()) -> None:
        self._lines = text.splitlines()
        self._entangled = bool(_ENTANGLED.search(text))
        self.entries: Entries = list(entries)
        self.changed = False  #: since it was read

    def text(self) -> str:
        """As a file."""
        if self.changed and self._entangled:
            return "".join(f"{key} = {value}\n" for key, value in self.entries)
        return "".join(f"{line}\n" for line in self._lines)

    def get(self, key: str) -> str | list[str]:
        """python-lxc's value of a key: a list where several are possible and some are there. KeyError."""
        name = _modern(key)
        if name == "lxc.net":
            return [value for entry, value in self.entries if re.fullmatch(r"lxc\.net\.\d+\.type", entry)] or ""
        if name in _GROUPS:
            return [f"{entry} = {value}" for entry, value in self.entries if entry.startswith(f"{name}.")] or ""
        row = _row(name)
        found = [value for entry, value in self.entries if entry == name]
        if name in _JOINED:
            return " ".join(found)
        if name in _SPLIT:
            found = " ".join(found).split()
        if row.list:
            return found or ""
        interface = _INTERFACE.match(name)
        if not found and interface and not self._has(interface[0]):
            raise KeyError(_UNKNOWN)
        return found[-1] if found else _DEFAULTS.get(name, "0" if row.kind in _ZERO else "")

    def keys(self, key: str = "") -> list[str]:
        """The names there are; below an interface that is set, those of its keys. KeyError."""
        if not key:
            return sorted({row.stem.rstrip(".").partition(".N")[0] for row in _table().keys if not row.modern})
        if not _INTERFACE.fullmatch(key) or not self._has(key):
            raise KeyError(_UNKNOWN)
        kind = str(self.get(f"{key}.type"))
        there = _LEAST if kind == "empty" else _LEAST | _COMMON | {kind}
        names = [row.name.partition(".N.")[2] for row in _table().keys if row.indexed and not row.modern]
        return [name for name in names if name.partition(".")[0] in there]

    def _has(self, interface: str) -> bool:
        return any(entry.startswith(f"{interface}.") for entry, _ in self.entries)

    def append(self, key: str, value: str) -> bool:
        """One more line. False for a value that is none; KeyError for a key that is none."""
        name = _modern(key)
        _row(name)
        if value and check_line(f"{name} = {value}", _table()):
            return False
        if not value or not _row(name).list:
            self._drop(name)
        if value:
            self.entries.append((name, value))
            self._lines.append(f"{name} = {value}")
        self.changed = True
        return True

    def replace(self, key: str, value: str | list[str]) -> bool:
        """The value of a key, instead of those it has; false, and as it was, when one of them is none."""
        name = _modern(key)
        _row(name)
        values = value if isinstance(value, list) else [value]
        before = self._lines[:], self.entries[:], self.changed
        self._drop(name)
        if all(self.append(name, each) for each in values if each):
            self.changed = True
            return True
        self._lines, self.entries, self.changed = before
        return False

    def clear(self, key: str) -> bool:
        """Without this key, and without what is below it (an interface); false for a key that is none."""
        try:
            name = _modern(key)
            if not _above(name):
                _row(name)
        except KeyError:
            return False
        self._drop(name)
        self.changed = True
        return True

    def _drop(self, name: str) -> None:
        def gone(entry: str) -> bool:
            return entry == name or (_above(name) and entry.startswith(f"{name}."))

        self.entries = [pair for pair in self.entries if not gone(pair[0])]
        self._lines = [line for line in self._lines if not gone(_name_of(line))]


def _above(name: str) -> bool:
    """Does it stand for all that is below it?"""
    return name in (*_GROUPS, "lxc.hook") or bool(_INTERFACE.fullmatch(name))


def _name_of(line: str) -> str:
    """The modern name of a line's key; "" for one without."""
    key, equals, _ = line.strip().partition("=")
    if not equals or key.startswith("#"):
        return ""
    try:
        return _modern(key.strip())
    except KeyError:
        return ""


def _modern(key: str) -> str:
    """The modern name of a key, or of what stands above some; KeyError."""
    if _above(key):
        return key
    match = find(_table(), key)
    if match is None or (match.key.indexed and match.nic < 0):
        raise KeyError(_UNKNOWN)
    return match.name(match.nic)


def _row(name: str) -> keys.Key:
    match = find(_table(), name)
    if match is None:
        raise KeyError(_UNKNOWN)
    return match.key
