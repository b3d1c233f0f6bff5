"""Reading TOML files into msgspec structs, with messages a person can act on.

An error names the file, the path of the key, the reason and the nearest valid name; msgspec
alone says only the type it expected. Shared by all that people write: boards, the catalogue.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean, nearest
from sampan.core.files import read_text

_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]+)`")
_MISSING = re.compile(r"missing required field `(?P<key>[^`]+)`")
_ENUM = re.compile(r"Invalid enum value '(?P<value>[^']*)'")

T = TypeVar("T", bound=msgspec.Struct)


def read_toml(path: Path) -> dict[str, Any]:
    """The data of a TOML file; a SampanError when it is none."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SampanError(f"{path}: not TOML: {error}", code=EXIT_USAGE) from error


def convert(data: Any, table: type[T], where: str, *, hidden: tuple[str, ...] = ()) -> T:
    """`data` as a struct; `where` begins the message, `hidden` keys are never suggested."""
    try:
        return msgspec.convert(data, table)
    except msgspec.ValidationError as error:
        raise _explain(table, where, str(error), hidden) from error


def _explain(table: type[msgspec.Struct], where: str, text: str, hidden: tuple[str, ...]) -> SampanError:
    found = _AT.search(text)
    at = found["path"] if found else ""
    reason = _AT.sub("", text)
    hint = ""
    if unknown := _UNKNOWN.search(reason):
        key = unknown["key"]
        hint = did_you_mean(key, [known for known in _keys(table, at) if known not in hidden])
        at, reason = f"{at}.{key}".lstrip("."), "unknown key"
    elif missing := _MISSING.search(reason):
        at, reason = f"{at}.{missing['key']}".lstrip("."), "missing"
    elif enum := _ENUM.search(reason):
        known = _choices(table, at)
        reason = f"{enum['value']!r} is not one of {', '.join(known)}"
        near = nearest(enum["value"], known)
        hint = f"did you mean {near!r}?" if near else ""
    return SampanError(f"{where}: {at}: {reason}" if at else f"{where}: {reason}", hint=hint, code=EXIT_USAGE)


def _struct_at(table: type[msgspec.Struct], key_path: str) -> type[msgspec.Struct]:
    """The struct at a key path such as "kernel"."""
    for part in filter(None, key_path.split(".")):
        for item in msgspec.structs.fields(table):
            if item.encode_name == part and isinstance(item.type, type) and issubclass(item.type, msgspec.Struct):
                table = item.type
    return table


def _keys(table: type[msgspec.Struct], key_path: str) -> list[str]:
    return [item.encode_name for item in msgspec.structs.fields(_struct_at(table, key_path))]


def _choices(table: type[msgspec.Struct], key_path: str) -> list[str]:
    """The allowed values of the enum-typed key at `key_path` (elements for a list)."""
    parent, _, key = re.sub(r"\[\.\.\.\]", "", key_path).rpartition(".")
    for item in msgspec.structs.fields(_struct_at(table, parent)):
        if item.encode_name == key:
            info = msgspec.inspect.type_info(item.type)
            if isinstance(info, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
                info = info.item_type
            if isinstance(info, msgspec.inspect.LiteralType):
                return [str(value) for value in info.values]
    return []
