"""Reading what probe.sh printed on a target: sections that begin with `@@ NAME`.

The text may come over a serial line: carriage returns and whatever stands before the first
section are left out. A dump without its last section was cut short and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sampan.config.rules import MAJOR_MAX, MINOR_MAX, Kind
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import read_text
from sampan.devices import facts as f

_NEEDED = ("version", "devices", "misc", "nodes", "end")
_VERSION = re.compile(r"Linux version (?P<release>\S+) ")
_NUMBER = re.compile(r"(?P<major>[0-9]{1,4}):(?P<minor>[0-9]{1,7})")
_RANGE = re.compile(r"(?P<first>[0-9]{1,7})(-(?P<last>[0-9]{1,7}))?")
_NODE_FIELDS = 9

Lines = list[tuple[int, str]]  # line number in the dump, text
T = TypeVar("T")


class _Wrong(ValueError):
    """Why a line is none of its section."""


def script() -> str:
    """The probe's text, to be run by a target's shell."""
    return (Path(__file__).parent / "probe.sh").read_text(encoding="utf-8")


def read(path: Path, board: str) -> f.Facts:
    """Facts from a file that holds a probe's output."""
    return parse(read_text(path), board, str(path))


def parse(text: str, board: str, source: str) -> f.Facts:
    """Facts from a probe's output; `source` stands in messages."""
    sections = _sections(text, source)
    missing = [name for name in _NEEDED if name not in sections]
    if missing:
        raise SampanError(
            f"{source}: no section {missing[0]!r}: the output of the probe is not whole",
            hint="run the probe again and take everything from `@@ version` to `@@ end`",
            code=EXIT_USAGE,
        )
    found = f.make(
        board,
        _release(sections["version"], source),
        next((line for _, line in sections.get("dt-compatible", []) if line), ""),
        majors=_majors(sections["devices"], source),
        misc=_each(_misc, sections["misc"], source),
        ttys=_each(_tty, sections.get("ttydrivers", []), source),
        consoles=[c for c in _each(_console, sections.get("consoles", []), source) if c],
        nodes=[node for node in _each(_node, sections["nodes"], source) if node.name],
    )
    wrong = f.contradiction(found)
    if wrong:
        raise SampanError(f"{source}: {wrong}", hint="is it the output of two probes?", code=EXIT_USAGE)
    return found


def _sections(text: str, source: str) -> dict[str, Lines]:
    sections: dict[str, Lines] = {}
    current: Lines = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if line.startswith("@@ "):
            name = line[3:].strip()
            if name in sections:
                hint = "is it the output of two probes? Leave one of them"
                raise SampanError(f"{source}:{number}: a second section {name!r}", hint=hint, code=EXIT_USAGE)
            current = sections[name] = []
        else:
            current.append((number, line))
    return sections


def _each(read_line: Callable[[str], T], lines: Lines, source: str) -> list[T]:
    found = []
    for number, line in lines:
        if line.strip():
            try:
                found.append(read_line(line))
            except _Wrong as wrong:
                raise SampanError(f"{source}:{number}: {line.strip()!r}: {wrong}", code=EXIT_USAGE) from wrong
    return found


def _release(lines: Lines, source: str) -> str:
    for number, line in lines:
        found = _VERSION.match(line)
        if not found:
            raise SampanError(f"{source}:{number}: {line!r} is no /proc/version of Linux", code=EXIT_USAGE)
        return found["release"]
    raise SampanError(f"{source}: the section 'version' is empty", code=EXIT_USAGE)


def _majors(lines: Lines, source: str) -> list[f.Major]:
    kinds: dict[str, Kind] = {"Character devices:": "c", "Block devices:": "b"}
    kind: Kind | None = None
    majors = []
    for number, line in lines:
        text = line.strip()
        if text in kinds:
            kind = kinds[text]
            continue
        major, _, name = text.partition(" ")
        if not text:
            continue
        if kind is None or not major.isdigit() or int(major) > MAJOR_MAX or not name:
            raise SampanError(f"{source}:{number}: {text!r} is no line of /proc/devices", code=EXIT_USAGE)
        majors.append(f.Major(kind, int(major), name.strip()))
    return majors


def _misc(line: str) -> f.Misc:
    minor, _, name = line.strip().partition(" ")
    if not minor.isdigit() or int(minor) > MINOR_MAX or not name:
        raise _Wrong("no line of /proc/misc")
    return f.Misc(int(minor), name.strip())


def _tty(line: str) -> f.Tty:
    words = line.split()
    span = _RANGE.fullmatch(words[-2]) if len(words) >= 4 else None
    if span is None or not words[-3].isdigit() or int(words[-3]) > MAJOR_MAX:
        raise _Wrong("no line of /proc/tty/drivers")
    first = int(span["first"])
    return f.Tty(words[-4].removeprefix("/dev/"), int(words[-3]), first, int(span["last"] or first), words[-1])


def _console(line: str) -> f.Console | None:
    words = line.split()
    if words[-1].endswith(")"):
        return None  # a console without a device, such as netcon
    return f.Console(words[0], *_number(words[-1]))


def _node(line: str) -> f.Node:
    fields = line.split("\t")
    if len(fields) != _NODE_FIELDS:
        raise _Wrong(f"{len(fields)} fields instead of {_NODE_FIELDS}")
    if fields[0] not in ("c", "b"):
        raise _Wrong("the first field is c or b")
    kind: Kind = "b" if fields[0] == "b" else "c"
    return f.Node(kind, *_number(fields[1]), *fields[2:])


def _number(text: str) -> tuple[int, int]:
    found = _NUMBER.fullmatch(text)
    if not found or int(found["major"]) > MAJOR_MAX or int(found["minor"]) > MINOR_MAX:
        raise _Wrong(f"{text!r} is no device number")
    return int(found["major"]), int(found["minor"])
