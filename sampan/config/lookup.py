"""Finding a key of the table by what a person wrote, and what was probably meant where there is none."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from sampan.config.keys import Key, Table

KEY_LEN_MAX = 63
_INDEX = re.compile(r"(lxc\.(?:net|network)\.)([0-9]{1,7})(?=\.|\Z)")


@dataclass(frozen=True)
class Match:
    """A key as found in a line."""

    key: Key  #: the modern one
    rest: str = ""  #: what stands for the `*` of a prefix
    legacy: bool = False
    nic: int = -1  #: index written in the key

    def name(self, nic: int) -> str:
        """The modern name with its numbers; both spellings of the device keys are one set of rules."""
        if self.key.kind in ("devices_allow", "devices_deny"):
            return self.key.name.replace("cgroup2", "cgroup")
        if self.key.indexed:
            return self.key.name.replace(".N", f".{nic}", 1)
        return self.key.stem + self.rest


def find(table: Table, name: str) -> Match | None:
    """The key that `name` means: exactly, or by a prefix that takes any ending."""
    found = _INDEX.match(name)
    nic = int(found[2]) if found else -1
    plain = f"{found[1]}N{name[found.end() :]}" if found else name
    key = table.by_name.get(plain)
    # A literal N is no number, and a name that the runtime would cut is no key.
    if key and (key.prefix or len(name.encode()) > KEY_LEN_MAX or (nic < 0) == key.indexed):
        key = None
    rest = ""
    if key is None:
        key = next((k for k in table.keys if k.prefix and name.startswith(k.stem) and name != k.stem), None)
        if key is None:
            return None
        rest = name.removeprefix(key.stem)
    return Match(table.modern(key), rest, bool(key.modern), nic)


def nearest(table: Table, name: str) -> str:
    """A key that is spelled nearly so; "" when there is none."""
    found = difflib.get_close_matches(_INDEX.sub(r"\1N", name), table.by_name, n=1, cutoff=0.75)
    number = _INDEX.match(name)
    return found[0].replace(".N", f".{number[2] if number else 0}").replace(".*", "...") if found else ""
