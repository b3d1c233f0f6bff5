"""Facts as text: board/NAME/facts/KERNEL.tsv, one record a line, sorted, made for `git diff`.

The columns are described in docs/devices.md. The reader takes nothing the writer would not
write: unknown records, missing columns, a missing end and numbers out of range are errors
with file and line, because a device number that is read wrongly opens the wrong device.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sampan.config.rules import MAJOR_MAX, MINOR_MAX, Kind
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import read_text, write_text
from sampan.devices import facts as f

FORMAT = "1"
_HEAD = "# Devices of one board under one kernel, as the kernel itself listed them. See docs/devices.md.\n"
_EMPTY = "-"
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,3}):(0|[1-9][0-9]{0,6})")
_PLAIN = re.compile(r"0|[1-9][0-9]{0,6}")


class _Wrong(ValueError):
    """Why a line is no record."""


def dumps(facts: f.Facts) -> str:
    """The canonical text of these facts."""
    rows: list[tuple[str, ...]] = [("facts", FORMAT), ("board", facts.board), ("kernel", facts.kernel)]
    rows.append(("machine", facts.machine))
    rows += [("console", c.name, f"{c.major}:{c.minor}") for c in facts.consoles]
    rows += [("major", m.kind, str(m.number), m.name) for m in facts.majors]
    rows += [("misc", str(m.minor), m.name) for m in facts.misc]
    rows += [("tty", t.prefix, str(t.major), f"{t.first}-{t.last}", t.what) for t in facts.ttys]
    rows += [
        ("node", n.kind, f"{n.major}:{n.minor}", n.name, n.subsystem, n.driver, n.path, n.of_node, n.devtype, n.mode)
        for n in facts.nodes
    ]
    rows.append(("end", str(len(rows))))
    return _HEAD + "".join("\t".join(cell or _EMPTY for cell in row) + "\n" for row in rows)


def write(path: Path, facts: f.Facts) -> None:
    """Write facts to a file, at once."""
    write_text(path, dumps(facts))


def read(path: Path) -> f.Facts:
    """Read a facts file; a SampanError names the file and the line."""
    return loads(read_text(path), str(path))


def loads(text: str, source: str) -> f.Facts:
    """Facts from their text; `source` stands in messages."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        try:
            reader.take(line.split("\t"))
        except _Wrong as wrong:
            raise SampanError(f"{source}:{number}: {wrong}", code=EXIT_USAGE) from wrong
    try:
        found = reader.finish()
    except _Wrong as wrong:
        raise SampanError(f"{source}: {wrong}", hint="restore the file, or probe again", code=EXIT_USAGE) from wrong
    wrong_text = f.contradiction(found)
    if wrong_text:
        raise SampanError(f"{source}: {wrong_text}", hint="are these facts of two kernels?", code=EXIT_USAGE)
    return found


class _Reader:
    """Collects records; each method reads the columns of one kind of record."""

    def __init__(self) -> None:
        self.single: dict[str, str] = {}
        self.lists: dict[str, list[Any]] = {name: [] for name in ("console", "major", "misc", "tty", "node")}
        self.count = 0
        self.ended = False
        self.records: dict[str, tuple[int, Callable[[list[str]], Any]]] = {
            "console": (2, self._console),
            "major": (3, self._major),
            "misc": (2, self._misc),
            "tty": (4, self._tty),
            "node": (9, self._node),
        }

    def take(self, cells: list[str]) -> None:
        name, rest = cells[0], cells[1:]
        if self.ended:
            raise _Wrong("there is a record after the end")
        if self.count == 0 and name != "facts":
            raise _Wrong("no facts file: it begins with the record `facts`")
        if not all(rest):
            raise _Wrong(f"an empty column; {_EMPTY} stands for nothing")
        rest = ["" if cell == _EMPTY else cell for cell in rest]
        if name in self.records:
            columns, read_record = self.records[name]
            self._columns(name, rest, columns)
            self.lists[name].append(read_record(rest))
        elif name in ("facts", "board", "kernel", "machine"):
            self._one(name, rest)
        elif name == "end":
            self._end(rest)
        else:
            raise _Wrong(f"unknown record {name!r}")
        self.count += 1

    def finish(self) -> f.Facts:
        if not self.ended:
            raise _Wrong("the file is cut short: it has no record `end`")
        for name in ("board", "kernel"):
            if not self.single.get(name):
                raise _Wrong(f"no record {name!r}")
        for name, records in self.lists.items():
            if len(set(records)) < len(records):
                raise _Wrong(f"the same {name!r} record stands twice")
        return f.make(
            self.single["board"],
            self.single["kernel"],
            self.single.get("machine", ""),
            majors=self.lists["major"],
            misc=self.lists["misc"],
            ttys=self.lists["tty"],
            consoles=self.lists["console"],
            nodes=self.lists["node"],
        )

    def _columns(self, name: str, rest: list[str], columns: int) -> None:
        if len(rest) != columns:
            raise _Wrong(f"a record {name!r} has {columns + 1} columns, not {len(rest) + 1}")

    def _one(self, name: str, rest: list[str]) -> None:
        self._columns(name, rest, 1)
        if name in self.single:
            raise _Wrong(f"a second record {name!r}: are these the facts of two boards?")
        if name == "facts" and rest[0] != FORMAT:
            raise _Wrong(f"format {rest[0]!r} of facts; this sampan reads format {FORMAT}")
        self.single[name] = rest[0]

    def _end(self, rest: list[str]) -> None:
        self._columns("end", rest, 1)
        if rest[0] != str(self.count):
            raise _Wrong(f"{self.count} records stand before the end, which says {rest[0]}")
        self.ended = True

    def _console(self, rest: list[str]) -> f.Console:
        return f.Console(_text(rest[0]), *_number(rest[1]))

    def _major(self, rest: list[str]) -> f.Major:
        return f.Major(_kind(rest[0]), _plain(rest[1], MAJOR_MAX), _text(rest[2]))

    def _misc(self, rest: list[str]) -> f.Misc:
        return f.Misc(_plain(rest[0], MINOR_MAX), _text(rest[1]))

    def _tty(self, rest: list[str]) -> f.Tty:
        first, dash, last = rest[2].partition("-")
        if not dash:
            raise _Wrong(f"{rest[2]!r} is no range FIRST-LAST")
        numbers = _plain(first, MINOR_MAX), _plain(last, MINOR_MAX)
        return f.Tty(_text(rest[0]), _plain(rest[1], MAJOR_MAX), *numbers, _text(rest[3]))

    def _node(self, rest: list[str]) -> f.Node:
        return f.Node(_kind(rest[0]), *_number(rest[1]), _text(rest[2]), *rest[3:])


def _text(cell: str) -> str:
    if not cell:
        raise _Wrong("a name is missing")
    return cell


def _kind(cell: str) -> Kind:
    if cell not in ("c", "b"):
        raise _Wrong(f"{cell!r} is neither c nor b")
    return "b" if cell == "b" else "c"


def _plain(cell: str, highest: int) -> int:
    if not _PLAIN.fullmatch(cell) or int(cell) > highest:
        raise _Wrong(f"{cell!r} is no number from 0 to {highest}")
    return int(cell)


def _number(cell: str) -> tuple[int, int]:
    found = _NUMBER.fullmatch(cell)
    if not found or int(found[1]) > MAJOR_MAX or int(found[2]) > MINOR_MAX:
        raise _Wrong(f"{cell!r} is no device number MAJOR:MINOR")
    return int(found[1]), int(found[2])
