"""Finding and reading boards. A folder with a board.toml below board/ is a board; nothing else is needed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from sampan.board.model import Board, Table
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean, nearest
from sampan.core.files import refuse_os_error

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]+)`")
_MISSING = re.compile(r"missing required field `(?P<key>[^`]+)`")
_ENUM = re.compile(r"Invalid enum value '(?P<value>[^']*)'")


def names() -> list[str]:
    """All boards, sorted."""
    folder = paths.boards_dir()
    try:
        return sorted(entry.name for entry in folder.iterdir() if (entry / "board.toml").is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        refuse_os_error(error, "read", folder)


def load(name: str) -> Board:
    """The board of that name; an unknown name or a wrong file is a SampanError."""
    path = paths.boards_dir() / name / "board.toml"
    if not _NAME.match(name) or not path.is_file():
        raise SampanError(
            f"there is no board {name!r}",
            hint=f"{did_you_mean(name, names())} (`sampan boards` lists them)",
            code=EXIT_USAGE,
        )
    return parse(path, name)


def parse(path: Path, name: str) -> Board:
    """Read one board.toml; errors name the file, the key path, the reason and the nearest valid name."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SampanError(f"{path}: not TOML: {error}", code=EXIT_USAGE) from error
    except UnicodeDecodeError as error:
        raise SampanError(f"{path}: not UTF-8 at byte {error.start}", code=EXIT_USAGE) from error
    except OSError as error:
        refuse_os_error(error, "read", path)
    if "name" in data:
        raise SampanError(
            f"{path}: name: a board is named by its folder, {name!r}", hint="remove the key", code=EXIT_USAGE
        )
    try:
        board = msgspec.convert(data | {"name": name}, Board)
    except msgspec.ValidationError as error:
        raise _explain(path, str(error)) from error
    _check_kernel(path, board)
    return board


def _check_kernel(path: Path, board: Board) -> None:
    needed = ("package", "debian_arch") if board.kernel.provider == "debian" else ("image",)
    for key in needed:
        if not getattr(board.kernel, key):
            raise SampanError(
                f"{path}: kernel.{key}: missing; provider = {board.kernel.provider!r} needs it", code=EXIT_USAGE
            )


def _explain(path: Path, text: str) -> SampanError:
    """msgspec's message with the key path in front and the nearest valid name as a hint."""
    where = _AT.search(text)
    at = where["path"] if where else ""
    reason = _AT.sub("", text)
    hint = ""
    if unknown := _UNKNOWN.search(reason):
        key = unknown["key"]
        known = _keys(at)
        hint = did_you_mean(key, known)
        at, reason = f"{at}.{key}".lstrip("."), "unknown key"
    elif missing := _MISSING.search(reason):
        at, reason = f"{at}.{missing['key']}".lstrip("."), "missing"
    elif enum := _ENUM.search(reason):
        known = _choices(at)
        reason = f"{enum['value']!r} is not one of {', '.join(known)}"
        near = nearest(enum["value"], known)
        hint = f"did you mean {near!r}?" if near else ""
    return SampanError(f"{path}: {at}: {reason}", hint=hint, code=EXIT_USAGE)


def _struct_at(key_path: str) -> type[Table]:
    """The table class at a key path such as "kernel"."""
    table: type[Table] = Board
    for part in filter(None, key_path.split(".")):
        for item in msgspec.structs.fields(table):
            if item.encode_name == part and isinstance(item.type, type) and issubclass(item.type, Table):
                table = item.type
    return table


def _keys(key_path: str) -> list[str]:
    return [item.encode_name for item in msgspec.structs.fields(_struct_at(key_path)) if item.name != "name"]


def _choices(key_path: str) -> list[str]:
    """The allowed values of the enum-typed key at `key_path` (elements for a list)."""
    table, _, key = re.sub(r"\[\.\.\.\]", "", key_path).rpartition(".")
    for item in msgspec.structs.fields(_struct_at(table)):
        if item.encode_name == key:
            info = msgspec.inspect.type_info(item.type)
            if isinstance(info, msgspec.inspect.ListType):
                info = info.item_type
            if isinstance(info, msgspec.inspect.LiteralType):
                return [str(value) for value in info.values]
    return []
