"""Reads a container's configuration on the host as the runtime does on the target: the same verdict
on every line and the same effective configuration (tests/image/test_config_two_readers.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sampan.config import keys, nets, spaces, values
from sampan.config.language import (
    CONF_BYTES_MAX,
    CONF_DEPTH_MAX,
    CONF_ERRORS_MAX,
    NICS_MAX,
    Line,
    lines,
    printable,
    size,
    unquote,
)
from sampan.config.lookup import Match, find, nearest
from sampan.config.mounts import Wrong

Level = Literal["note", "warning", "error"]

#: Kinds whose key ends in a name that is to be checked even when the value is empty.
_NAMED = {"cgroup", "cgroup2", "prlimit", "proc", "share", "sysctl"}
#: Kinds whose reader wants empty values too.
_EMPTY_TOO = _NAMED | {"include"}


@dataclass(frozen=True)
class Message:
    """What is wrong, or worth a note, in one line."""

    level: Level
    file: str
    line: int  #: 0: the file as a whole
    key: str
    value: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        level = "" if self.level == "error" else f"{self.level}: "
        about = f"{self.key} = {self.value}: " if self.key else f"{self.value}: " if self.value else ""
        return printable(f"{place}: {level}{about}{self.text}") + (f"\n  hint: {self.hint}" if self.hint else "")


@dataclass(frozen=True)
class Entry:
    """One line that counts."""

    key: str  #: modern name, numbers in it
    value: str
    file: str
    line: int


@dataclass
class Config:
    """What the files came to."""

    entries: list[Entry] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Would the runtime start it?"""
        return not any(message.level == "error" for message in self.messages)

    def get(self, key: str) -> list[str]:
        """The values of a key, by its modern name."""
        return [entry.value for entry in self.entries if entry.key == key]

    def text(self) -> str:
        """The effective configuration as a file."""
        return "".join(f"{entry.key} = {entry.value}\n" for entry in self.entries)


class _Stop(Exception):
    """Nothing more is read: too many errors, or no room."""


class _Loader:
    def __init__(self, table: keys.Table, root: Path | None) -> None:
        self.table, self.root = table, root
        self.out = Config()
        self.on = values.Context(table.keys[0], keep=self._keep, warn=lambda text: self.say("warning", text))
        self.file, self.number, self.key, self.value = "", 0, "", ""
        self.outermost = ""
        self.nic = -1  # interface of the last lxc.network.type
        self.used = 0
        self.open: list[tuple[int, int]] = []
        self.fstab: tuple[str, str, int] | None = None
        self.noted = False
        self.places: dict[int, tuple[str, int]] = {}  # of the first line about an interface

    # -- messages

    def say(self, level: Level, text: str, hint: str = "") -> None:
        self.out.messages.append(Message(level, self.file, self.number, self.key, self.value, text, hint))

    def error(self, text: str, hint: str = "") -> None:
        self.say("error", text, hint)
        if sum(message.level == "error" for message in self.out.messages) == CONF_ERRORS_MAX:
            self.key = self.value = ""
            self.say("error", "too many errors: the rest is not read (CONF_ERRORS_MAX)")
            raise _Stop

    def _keep(self, text: str) -> None:
        if size(text) + 1 > CONF_BYTES_MAX - self.used:
            self.say("error", "the strings of the configuration need too much room (CONF_BYTES_MAX)")
            raise _Stop
        self.used += size(text) + 1

    # -- files

    def path(self, name: str) -> Path:
        """Where a file of the target is on this machine."""
        return Path(name) if self.root is None else self.root / name.lstrip("/")

    def _stat(self, path: Path) -> os.stat_result | None:
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            self.error(f"cannot open: {error.strerror if isinstance(error, OSError) else error}")
            return None
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            return status
        self.error("not a regular file")
        return None

    def include(self, name: str, path: Path) -> None:
        """A file, or a directory of *.conf files in the order of their names."""
        status = self._stat(path)
        if status is None:
            return
        identity = status.st_dev, status.st_ino
        if identity in self.open:
            return self.error("the file includes itself")
        if len(self.open) == CONF_DEPTH_MAX:
            return self.error("includes are nested too deep (CONF_DEPTH_MAX)")
        self._keep(name)
        self.open.append(identity)
        if stat.S_ISREG(status.st_mode):
            self.read(name, path, self.line)
        elif len(self.open) > 1:
            self._folder(name, path)
        else:
            self.error("not a regular file")
        self.open.pop()

    def _folder(self, name: str, path: Path) -> None:
        key = self.key
        for entry in sorted(os.listdir(os.fsencode(path))):
            if entry.endswith(b".conf") and not entry.startswith(b"."):
                self.key, self.value = key, f"{name}/{os.fsdecode(entry)}"
                self.include(self.value, path / os.fsdecode(entry))

    def read(self, name: str, path: Path, line: Callable[[str], None]) -> None:
        """Every line of a file; the place of the including line comes back afterwards."""
        outer = self.file, self.number
        self.file, self.number, self.key, self.value = name, 0, "", ""
        for row in self._lines(path):
            self.number, self.key, self.value = row.number, "", ""
            if row.wrong:
                self.error(row.wrong)
            else:
                line(row.text)
        self.file, self.number = outer
        self.key = self.value = ""

    def _lines(self, path: Path) -> Iterator[Line]:
        try:
            yield from lines(path.read_bytes())
        except OSError as error:
            self.error(f"cannot read: {error.strerror}")

    # -- lines

    def line(self, text: str) -> None:
        if not text or text.startswith("#"):
            return
        key, equals, value = text.partition("=")
        if not equals:
            return self._no_pair(text)
        self.key, self.value = key.strip(" \t"), unquote(value.strip(" \t"))
        match = find(self.table, self.key)
        if match is None:
            near = nearest(self.table, self.key)
            foreign = not self.key.startswith("lxc.")
            why = "the key does not begin with lxc." if foreign else "unknown key"
            return self.error(why, f"did you mean {near}?" if near else "")
        if match.legacy and not self.noted:
            self.noted = True
            self.say("note", "a key of LXC before 2.1; it works, and so do the others of its kind")
        self._value(match)

    def _no_pair(self, text: str) -> None:
        key, _, value = text.replace("\t", " ").partition(" ")
        self.value = text
        hint = f"{key} = {value.strip()}" if value and find(self.table, key) else ""
        self.error("no KEY = VALUE", hint)

    def _value(self, match: Match) -> None:
        key, value = match.key, self.value
        if key.status == "ignored":
            return
        if key.status == "unsupported":
            return self.error(f"not supported: {key.reason}") if value else None
        errors = len(self.out.messages)
        self.on.key, self.on.name, self.on.rest = key, self.key, match.rest
        self.on.place = self.file, self.number
        try:
            if value or key.indexed or key.kind in _EMPTY_TOO:
                self._read(match, value)
            if not value:
                self._clear(match)
        except Wrong as wrong:
            self.error(wrong.text, wrong.hint)
        if not any(message.level == "error" for message in self.out.messages[errors:]) and key.kind != "include":
            self._list(match, value)

    def _read(self, match: Match, value: str) -> None:
        kind = match.key.kind
        if kind == "include":
            if not value.startswith("/"):
                raise Wrong("must be an absolute path")
            return self.include(value, self.path(value))
        if match.key.indexed:
            self.on.nic = self._interface(match)
        if value or kind in _NAMED:
            values.READERS[kind or ""](value, self.on)
        if match.key.indexed and kind != "nic_clear":
            self._said(match.key, value)
        if kind == "fstab":
            self.fstab = value, self.file, self.number

    def _said(self, key: keys.Key, value: str) -> None:
        """Which fields of the interface hold something now; l2proxy = 0 is nothing."""
        said, name = self.on.nics[self.on.nic].said, key.field.rpartition(".")[2]
        (said.discard if not value or (key.kind == "bool" and not int(value)) else said.add)(name)

    def _interface(self, match: Match) -> int:
        """lxc.network.type opens the next interface; the older keys are about the one opened last."""
        opens, index = match.key.kind == "nic_type", match.nic
        if index < 0:
            index = self.nic + opens
        if index < 0:
            raise Wrong("lxc.network.type must come first: it opens an interface")
        if index >= NICS_MAX:
            raise Wrong(f"interfaces are numbered from 0 to {NICS_MAX - 1} (NICS_MAX)")
        if opens and match.nic < 0:
            self.nic = index
        if match.key.kind == "nic_clear":
            return index
        if index not in self.on.nics:
            self.on.nics[index], self.places[index] = nets.Nic(), (self.file, self.number)
        nets.check_type(self.key, self.on.nics[index])
        return index

    def _clear(self, match: Match) -> None:
        on, kind = self.on, match.key.kind
        if kind == "caps" and match.key.field == "cap_keep":
            on.cap_keep = False
        elif kind == "caps":
            on.cap_drop = False
        elif kind == "environment":
            on.environment = {name for name in on.environment if name.split()[0] != match.key.name}
        elif kind == "hook":
            on.hooks = [stage for stage in on.hooks if stage != match.key.name]
        elif kind == "hook_clear":
            on.hooks.clear()
        elif kind == "group":
            on.groups = 0
        elif kind == "id":
            on.spaces.ids[match.key.field.removeprefix("init_")[0]] = 0
        elif kind == "idmap":
            on.spaces.ranges.clear()
        elif kind == "spaces":
            (on.spaces.clone if match.key.field == "ns_clone" else on.spaces.keep).clear()
        elif kind == "share":
            on.spaces.shared.discard(match.rest)
        elif kind in ("devices_allow", "devices_deny", "devices_expect"):
            on.devices[kind.removeprefix("devices_")] = 0
        elif kind in ("cgroup", "cgroup2"):
            on.cgroup = [row for row in on.cgroup if row != (match.key.name, match.rest)]
        elif kind == "mount":
            on.mounts = 0
        elif kind == "fstab":
            self.fstab = None
        elif kind == "net_clear":
            on.nics.clear()
            self.nic = -1
        elif kind == "nic_clear":
            on.nics.pop(match.nic, None)
        elif match.key.indexed:
            self._clear_nic(match.key, on.nics[on.nic])

    def _clear_nic(self, key: keys.Key, nic: nets.Nic) -> None:
        if key.kind == "nic_type":
            nic.kind = ""
        elif key.kind == "nic_flags":
            nic.up = False
        elif key.kind == "nic_gateway":
            nic.gateways.pop(nets.family(self.key), None)
        elif key.kind in ("nic_address", "nic_route"):
            gone = nets.family(self.key), key.kind == "nic_route"
            nic.addresses = [address for address in nic.addresses if address != gone]

    def _list(self, match: Match, value: str) -> None:
        """The effective configuration: what the line adds, replaces or clears (runtime/src/conf_list.c)."""
        name, kind = match.name(match.nic if match.nic >= 0 else self.nic), match.key.kind
        below = kind in ("net_clear", "nic_clear", "hook_clear") or (kind == "only" and not match.key.only)
        variable = value.partition("=")[0]

        def stays(entry: Entry) -> bool:
            if kind == "environment" and value:
                return entry.key != name or entry.value.partition("=")[0] != variable
            return entry.key != name and not (below and entry.key.startswith(f"{name}."))

        if not value or not match.key.list or kind == "environment":
            self.out.entries = [entry for entry in self.out.entries if stays(entry)]
        if value:
            self.out.entries.append(Entry(name, value, self.file, self.number))

    # -- the last checks

    def _fstab_line(self, text: str) -> None:
        if not text or text.startswith("#"):
            return
        self.value = text
        try:
            values.READERS["mount"](text, self.on)
        except Wrong as wrong:
            self.error(wrong.text, wrong.hint.partition(" = ")[2])

    def finish(self) -> None:
        if self.fstab is not None:
            name, self.file, self.number = self.fstab
            self.key, self.value = "lxc.mount.fstab", name
            status = self._stat(self.path(name))
            if status is not None and stat.S_ISREG(status.st_mode):
                self.read(name, self.path(name), self._fstab_line)
            elif status is not None:
                self.error("not a regular file")
        self.key = self.value = ""
        self._devices()
        self.value = ""
        for index, nic in sorted(self.on.nics.items()):
            self.file, self.number = self.places[index]
            if why := nets.missing(nic):
                self.error(f"lxc.net.{index}.{why}")
        shared = any(nic.kind == "none" for nic in self.on.nics.values())
        if shared and len(self.on.nics) > 1:
            self.error("type none is the host's network and stands alone")
        self._spaces()
        own = self.on.spaces.own(net=not shared)
        for (what, name), (value, file, number) in self.on.sets.items():
            space = "net" if name.startswith("n") else "uts" if "name" in name else "ipc"
            if what == "sysctl" and space not in own:
                self.value, self.file, self.number = value, file, number
                self.error("the namespace is not the container's own, and nor would this change be")

    def _spaces(self) -> None:
        """Namespaces and maps of ids, all lines together."""
        said = self.on.spaces
        if why := spaces.wrong(said):
            self.file, self.number = self.outermost, 0
            self.error(why)
        for at, row in enumerate(said.ranges):
            for other in said.ranges[:at]:
                self.file, self.number = row.file, row.line
                if row.clashes(other):
                    self.error("lxc.idmap: the range overlaps with another one")
        if why := spaces.wrong_map(said):
            self.file, self.number = said.ranges[0].file, said.ranges[0].line
            self.error(why)

    def _devices(self) -> None:
        rules = [entry for entry in self.out.entries if entry.key.startswith("lxc.cgroup.devices.")]
        if not rules or any(entry.value.startswith("a") for entry in rules):
            return
        self.file, self.number, self.value = rules[0].file, rules[0].line, rules[0].value
        hint = "begin with lxc.cgroup.devices.deny = a"
        self.say("warning", "no rule for all devices comes first: what no rule denies stays allowed", hint)


def load(path: Path, *, root: Path | None = None, table: keys.Table | None = None) -> Config:
    """The configuration of a file and all it includes.

    root: where the target's file system stands on this machine; without it, paths of includes
    and fstabs are those of this machine. Never raises for what a file holds: the messages say it.
    """
    loader = _Loader(table or keys.load(keys.default_path()), root)
    loader.file = loader.outermost = str(path)
    try:
        loader.include(str(path), path)
        loader.finish()
    except _Stop:
        pass
    return loader.out


def check_line(text: str, table: keys.Table | None = None) -> list[Message]:
    """What is wrong with one `key = value` by itself, before it is put among others."""
    loader = _Loader(table or keys.load(keys.default_path()), None)
    loader.line(text)
    return [message for message in loader.out.messages if message.level == "error"]
