"""Legacy configuration files in the keys of LXC 2.1 and later.

Pure: text in, text out. Comments, blank lines and the order stay; only keys that have a newer
name change. `lxc.rootfs.backend` becomes the prefix of the path wherever it stands, interfaces
get their numbers, and keys that LXC dropped without a successor go, each with a note.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sampan.config import keys
from sampan.config.language import BLANKS, Line, lines, unquote
from sampan.config.load import Level, Message
from sampan.config.lookup import Match, find, nearest

#: Storage kinds by the names LXC had for them.
BACKENDS = {"overlayfs": "overlay", "aufs": "aufs", "best": "dir"}


@dataclass
class Converted:
    """The new text, and what a person should know about it."""

    text: str
    messages: list[Message] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Was every line understood?"""
        return not any(message.level == "error" for message in self.messages)


class _Converter:
    def __init__(self, table: keys.Table, name: str) -> None:
        self.table, self.name = table, name
        self.nic = -1
        self.out = Converted("")
        self.rows: list[str] = []
        self.backend = ""
        self.root: tuple[int, str] | None = None  # row of the root file system's path, and the path

    def say(self, level: Level, line: Line, key: str, value: str, text: str, hint: str = "") -> None:
        self.out.messages.append(Message(level, self.name, line.number, key, value, text, hint))

    def line(self, line: Line) -> None:
        """One line: as it is, renamed, or gone."""
        if line.wrong:
            return self.say("error", line, "", "", line.wrong)
        key, equals, value = line.text.partition("=")
        if not line.text or line.text.startswith("#"):
            return self.rows.append(line.text)
        if not equals:
            return self.say("error", line, "", line.text, "no KEY = VALUE")
        key, value = key.strip(BLANKS), value.strip(BLANKS)
        match = find(self.table, key)
        if match is None:
            near = nearest(self.table, key)
            return self.say("error", line, key, value, "unknown key", f"did you mean {near}?" if near else "")
        self._pair(line, match, key, value)

    def _pair(self, line: Line, match: Match, key: str, value: str) -> None:
        if key == "lxc.rootfs.backend":
            self.backend = unquote(value)
            return self.say("note", line, key, value, "became the prefix of lxc.rootfs.path")
        if match.key.status == "ignored":
            return self.say("note", line, key, value, f"left out: {match.key.reason}")
        if match.key.kind == "include" and value:
            self.say("note", line, key, value, "an included file is not converted: convert it as well")
        name = self._name(line, match, key, value)
        if name == "lxc.rootfs.path" and value:
            self.root = len(self.rows), unquote(value)
        self.rows.append(f"{name} = {value}".rstrip() if value else f"{name} =")

    def _name(self, line: Line, match: Match, key: str, value: str) -> str:
        if match.key.kind == "net_clear" and not value:
            self.nic = -1
        if match.key.indexed and match.nic < 0:
            if match.key.kind == "nic_type":
                self.nic += 1
            if self.nic < 0:
                self.say("error", line, key, value, "lxc.network.type must come first: it opens an interface")
        if not match.legacy:
            return key  # lxc.cgroup2.devices too: both spellings are today's
        return match.name(match.nic if match.nic >= 0 else self.nic)

    def finish(self) -> Converted:
        if self.backend and self.root:
            row, path = self.root
            backend = BACKENDS.get(self.backend, self.backend)
            known = path.startswith(f"{backend}:") or (":" in path.partition("/")[0])
            self.rows[row] = f"lxc.rootfs.path = {path if known else f'{backend}:{path}'}"
        elif self.backend:
            self.say("error", Line(0, ""), "lxc.rootfs.backend", self.backend, "there is no lxc.rootfs it belongs to")
        self.out.text = "".join(f"{row}\n" for row in self.rows)
        return self.out


def convert(data: bytes, name: str, *, table: keys.Table | None = None) -> Converted:
    """The configuration `data`, called `name` in messages, in modern keys."""
    converter = _Converter(table or keys.load(keys.default_path()), name)
    for line in lines(data):
        converter.line(line)
    return converter.finish()
