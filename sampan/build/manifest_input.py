"""The input language of a manifest, and overlay folders (docs/manifest.md).

    path type mode uid gid [rdev | target | source] [attribute...]
    path absent

Reading is pure: it gives `Line`s that know where they were written; nothing is resolved yet.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sampan.build.manifest import (
    ID_MAX,
    MAJOR_MAX,
    MINOR_MAX,
    MODE_MAX,
    NAME_MAX,
    NODES,
    PATH_MAX,
    Entry,
    Kind,
    encode,
    parse_attributes,
    read_text,
    unescape,
)
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import refuse_os_error

ABSENT = "absent"
OVERLAY_MANIFEST = "overlay.manifest"  #: in an overlay folder: owners, modes and nodes of its entries
_IGNORED = frozenset({OVERLAY_MANIFEST, ".gitkeep"})
_BLANKS = re.compile(r"[ \t]+")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,9}")
_OCTAL = re.compile(r"[0-7]{3,5}")
_RDEV = re.compile(r"([0-9]{1,8}):([0-9]{1,8})")
_TAKES_MORE = frozenset({Kind.FILE, Kind.LINK, Kind.HARD, Kind.CHAR, Kind.BLOCK})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a manifest, or one thing found in an overlay folder.

    `entry` is None for `absent`. `source` is what a file's line says about its bytes: "@NAME",
    "@text:NAME", "@template:PATH", "-" (empty) or a path; relative ones start at `folder`.
    `soft` yields to an earlier entry of the same path: a folder that an overlay merely passes through.
    """

    where: str
    path: str
    entry: Entry | None
    folder: Path
    source: str = ""
    soft: bool = False

    def fault(self, reason: str, hint: str = "") -> SampanError:
        return SampanError(f"{self.where}: {self.path}: {reason}", hint=hint, code=EXIT_USAGE)


class _Bad(ValueError):
    """A fault of one line, before its place is known."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def read_manifest(path: Path) -> list[Line]:
    """All lines of a manifest file."""
    return parse_lines(read_text(path), str(path), path.parent)


def parse_lines(text: str, name: str, folder: Path) -> list[Line]:
    """Parse the text of a manifest; the first fault is a SampanError with file and line."""
    lines: dict[str, Line] = {}
    for number, raw in enumerate(text.split("\n"), start=1):
        stripped = raw.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        where = f"{name}:{number}"
        try:
            line = _parse_line(_BLANKS.split(stripped), where, folder)
        except ValueError as error:
            hint = getattr(error, "hint", "")
            raise SampanError(f"{where}: {error}", hint=hint, code=EXIT_USAGE) from error
        if earlier := lines.get(line.path):
            raise line.fault(f"stands already in {earlier.where}", "a path has one line in a manifest")
        lines[line.path] = line
    return list(lines.values())


def _parse_line(words: list[str], where: str, folder: Path) -> Line:
    path = parse_path(words[0])
    if len(words) < 2:
        raise _Bad(f"{path}: no type", "path type mode uid gid [rdev|target|source] [attribute...]")
    if words[1] == ABSENT:
        if len(words) > 2:
            raise _Bad(f"{path}: nothing follows `absent`, here {words[2]!r} does")
        return Line(where, path, None, folder)
    if words[1] not in set(Kind):
        raise _Bad(
            f"{path}: unknown type {words[1]!r}", did_you_mean(words[1], [ABSENT, *(kind.value for kind in Kind)])
        )
    kind = Kind(words[1])
    if len(words) < 5:
        raise _Bad(f"{path}: {kind} needs mode, uid and gid", f"such as: {path} {kind} 0755 0 0")
    mode, uid, gid = _owner(path, kind, words[2:5])
    rest = words[5:]
    more = rest.pop(0) if rest and kind in _TAKES_MORE and not _is_attribute(rest[0], kind) else ""
    xattrs, allow = parse_attributes(word for word in rest if word != "-")
    if kind is Kind.HARD and rest:
        raise _Bad(f"{path}: attributes of a hard link belong to the file it names")
    entry = Entry(
        path=path,
        kind=kind,
        mode=mode,
        uid=uid,
        gid=gid,
        rdev=_rdev(path, kind, more) if kind in NODES else (0, 0),
        target=_target(path, kind, more) if kind in (Kind.LINK, Kind.HARD) else "",
        xattrs=xattrs,
        allow=allow,
    )
    source = (unescape(more) or path[1:]) if kind is Kind.FILE else ""
    return Line(where, path, entry, folder, "-" if more == "-" else source)


def _is_attribute(word: str, kind: Kind) -> bool:
    """A file's source may be left out; then the word behind the owner is an attribute already."""
    return kind is Kind.FILE and "=" in word


def parse_path(text: str) -> str:
    """A path of an image: absolute, normal, no longer than the kernel takes; ValueError otherwise."""
    path = unescape(text)
    if not path.startswith("/"):
        raise _Bad(f"{path}: not an absolute path")
    parts = path[1:].split("/") if path != "/" else []
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise _Bad(f"{path}: not a normal path", "no `//`, `.`, `..`, NUL or slash at the end")
    if len(encode(path)) > PATH_MAX or any(len(encode(part)) > NAME_MAX for part in parts):
        raise _Bad(f"{path}: longer than the kernel takes ({NAME_MAX} bytes a name, {PATH_MAX} a path)")
    return path


def _owner(path: str, kind: Kind, words: list[str]) -> tuple[int, int, int]:
    """Mode, uid and gid. Links have none of their own in every format: mode 0777, or "-"."""
    if kind is Kind.HARD:
        if words != ["-", "-", "-"]:
            raise _Bad(f"{path}: a hard link has the mode and owner of its file", f"{path} hard - - - TARGET")
        return 0, 0, 0
    mode = "0777" if kind is Kind.LINK and words[0] == "-" else words[0]
    if not _OCTAL.fullmatch(mode) or int(mode, 8) > MODE_MAX:
        raise _Bad(f"{path}: mode {mode!r} is not octal between 000 and 7777")
    if kind is Kind.LINK and int(mode, 8) != 0o777:
        raise _Bad(f"{path}: mode {mode!r}: a symbolic link always has 0777", "write 0777 or -")
    for name, word in zip(("uid", "gid"), words[1:], strict=True):
        if not _DECIMAL.fullmatch(word) or int(word) > ID_MAX:
            raise _Bad(f"{path}: {name} {word!r} is not a number between 0 and {ID_MAX}")
    return int(mode, 8), int(words[1]), int(words[2])


def _rdev(path: str, kind: Kind, word: str) -> tuple[int, int]:
    match = _RDEV.fullmatch(word)
    if not match or int(match[1]) > MAJOR_MAX or int(match[2]) > MINOR_MAX:
        raise _Bad(f"{path}: {word!r} is no device number MAJOR:MINOR", f"{path} {kind} 0600 0 0 5:1")
    return int(match[1]), int(match[2])


def _target(path: str, kind: Kind, word: str) -> str:
    if not word:
        raise _Bad(f"{path}: {kind} needs a target")
    if kind is Kind.HARD:
        return parse_path(word)
    target = unescape(word)
    if "\0" in target or len(encode(target)) > PATH_MAX:
        raise _Bad(f"{path}: no valid target of a link")
    return target


def read_overlay(folder: Path) -> list[Line]:
    """What an overlay folder holds: owner root, mode by the x bit alone, then its overlay.manifest."""
    lines = {line.path: line for line in _walk(folder, "/")}
    own = folder / OVERLAY_MANIFEST
    if own.is_file():
        for line in read_manifest(own):
            lines[line.path] = line
    return list(lines.values())


def _walk(folder: Path, path: str) -> Iterator[Line]:
    try:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
    except OSError as error:
        refuse_os_error(error, "read", folder)
    for item in items:
        if item.name in _IGNORED:
            continue
        line = _found(Path(item.path), f"{path}{item.name}", item.stat(follow_symlinks=False))
        yield line
        if line.soft:
            yield from _walk(Path(item.path), f"{line.path}/")


def _found(source: Path, path: str, status: os.stat_result) -> Line:
    where, base = str(source), source.parent
    if stat.S_ISDIR(status.st_mode):
        return Line(where, path, Entry(path, Kind.DIR, 0o755), base, soft=True)
    if stat.S_ISLNK(status.st_mode):
        return Line(where, path, Entry(path, Kind.LINK, 0o777, target=str(source.readlink())), base)
    if stat.S_ISREG(status.st_mode):
        mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        return Line(where, path, Entry(path, Kind.FILE, mode), base, source=source.name)
    raise SampanError(
        f"{where}: neither a file, a folder nor a symbolic link",
        hint=f"device nodes stand in {OVERLAY_MANIFEST}",
        code=EXIT_USAGE,
    )
