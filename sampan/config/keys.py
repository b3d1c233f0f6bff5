"""The key table of the container configuration (runtime/keys.toml), loaded and checked.

The table stands once; the runtime's dispatch table, docs/config.md and the checker on the
host are made from it. Every rule about the table itself is checked here, so that what is
generated from a loaded table always compiles.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Literal, get_args

import msgspec

from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error

Status = Literal["implemented", "ignored", "unsupported"]

#: How the runtime reads a value: one handler each in conf_values.c and its neighbours.
Kind = Literal[
    "arch", "backend", "bool", "caps", "cgroup", "cgroup2", "command", "console", "count", "devices_allow",
    "devices_deny", "devices_expect", "environment", "fstab", "gids", "group", "hook", "hook_clear", "hostname", "id",
    "idmap", "include", "label", "log_facility", "log_level", "mount", "mount_auto", "net_clear", "nic_address",
    "nic_clear", "nic_flags", "nic_gateway", "nic_hwaddr", "nic_name", "nic_route", "nic_type", "offset",
    "only", "path", "prlimit", "proc", "rootfs", "rootfs_options", "share", "signal", "size", "spaces", "string",
    "subdir", "sysctl", "choice",
]  # fmt: skip

KINDS: tuple[str, ...] = get_args(Kind)
_WITH_FIELD = {
    "bool", "caps", "command", "console", "count", "hostname", "id", "nic_gateway", "nic_name", "offset",
    "path", "label", "rootfs", "signal", "size", "spaces", "string", "subdir", "choice",
}  # fmt: skip
_WITH_MAX = {"count", "gids", "id", "size"}
_WITH_ONLY = {"only", "choice"}
_NAME = re.compile(r"(lxc|sampan)(\.(N|[a-z0-9_-]+))+(\.\*)?")


class Key(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One row. A legacy name has only `name` and `modern`; the rest is that of its modern key."""

    name: str
    modern: str = ""
    meaning: str = ""
    since: str = ""
    status: Status | None = None
    reason: str = ""
    kind: Kind | None = None
    field: str = ""
    max: int | None = None
    only: tuple[str, ...] = ()
    list: bool = False

    @property
    def prefix(self) -> bool:
        """Does the name stand for all that begin like it?"""
        return self.name.endswith(".*")

    @property
    def stem(self) -> str:
        """The name without the star of a prefix."""
        return self.name.removesuffix("*")

    @property
    def indexed(self) -> bool:
        """Does the name hold the number of an interface?"""
        return ".N" in self.name


class _File(msgspec.Struct, forbid_unknown_fields=True):
    key: list[Key]


class Table:
    """All keys in the order of the file, with look-up by name."""

    def __init__(self, keys: list[Key]) -> None:
        self.keys = keys
        self.by_name = {key.name: key for key in keys}

    def modern(self, key: Key) -> Key:
        """The key itself, or the one that a legacy name stands for."""
        return self.by_name[key.modern] if key.modern else key

    def legacy_of(self, key: Key) -> list[Key]:
        """All legacy names of a modern key."""
        return [other for other in self.keys if other.modern == key.name]


def default_path() -> Path:
    """Where the table stands in a checkout."""
    return paths.ROOT / "runtime" / "keys.toml"


def load(path: Path) -> Table:
    """Read and check a table; a SampanError names the file and the row."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        refuse_os_error(error, "read", path)


def parse(text: bytes, name: str) -> Table:
    """A table from the bytes of a TOML file; `name` stands in messages."""
    try:
        file = msgspec.convert(tomllib.loads(text.decode("utf-8")), _File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SampanError(f"{name}: not TOML: {error}", code=EXIT_USAGE) from error
    except msgspec.ValidationError as error:
        raise SampanError(f"{name}: {error}", code=EXIT_USAGE) from error
    table = Table(file.key)
    seen: set[str] = set()
    for key in table.keys:
        wrong = "the name stands twice" if key.name in seen else _wrong(table, key)
        if wrong:
            raise SampanError(f"{name}: key {key.name!r}: {wrong}", code=EXIT_USAGE)
        seen.add(key.name)
    return table


def _wrong(table: Table, key: Key) -> str:
    """Why a row is not one, or ""."""
    if not _NAME.fullmatch(key.name):
        return "a name is lxc.WORD... (or sampan.WORD...), with N for a number and .* at the end for any text"
    if not all(text.isprintable() for text in (key.meaning, key.reason, *key.only)):
        return "texts are one printable line"
    if any("\n" in text or not text for text in key.only):
        return "an empty value always clears and is not listed in only"
    return _wrong_legacy(table, key) if key.modern else _wrong_modern(key)


def _wrong_legacy(table: Table, key: Key) -> str:
    if key != Key(name=key.name, modern=key.modern):
        return "a legacy name has no field of its own but modern"
    target = table.by_name.get(key.modern)
    if target is None or target.modern:
        return f"modern = {key.modern!r} is no modern key of this table"
    if key.prefix != target.prefix:
        return "a prefix stands for a prefix and a whole name for a whole name"
    if target.indexed and not key.name.startswith("lxc.network."):
        return "only lxc.network.* stands for a key of an interface"
    return ""


def _wrong_modern(key: Key) -> str:
    missing = [name for name in ("meaning", "since", "status") if not getattr(key, name)]
    if missing:
        return f"{missing[0]} is missing"
    if bool(key.reason) != (key.status != "implemented" or key.kind in _WITH_ONLY):
        return "reason belongs to status ignored and unsupported and to kind only"
    if (key.status == "implemented") != (key.kind is not None):
        return "kind belongs to status implemented"
    if bool(key.field) != (key.kind in _WITH_FIELD):
        return f"field does not go with kind {key.kind}"
    if (key.max is not None) != (key.kind in _WITH_MAX) or not 0 <= (key.max or 0) < 2**32:
        return f"max does not go with kind {key.kind}"
    if key.list and key.kind is None:
        return "list belongs to status implemented"
    return "only goes with kind only" if key.only and key.kind not in _WITH_ONLY else ""
