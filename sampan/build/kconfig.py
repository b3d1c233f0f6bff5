"""Kconfig files: reading them, merging fragments, and finding requests that were dropped.

kconfig drops a symbol silently when its dependencies are not met or its name is wrong; the
image then lacks something nobody notices before the board is in the field. So every requested
line is compared with the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sampan.core.errors import EXIT_USAGE, SampanError, nearest
from sampan.core.files import read_text

_SET = re.compile(r'^CONFIG_(?P<name>\w+)=(?P<value>[ymn]|-?\d+|0[xX][0-9a-fA-F]+|"(?:[^"\\]|\\.)*")$')
_UNSET = re.compile(r"^# CONFIG_(?P<name>\w+) is not set$")


@dataclass(frozen=True)
class Request:
    """One line of a fragment. `value` is as written ("y", "42", '"text"'); "n" for `is not set`."""

    name: str
    value: str
    where: str  #: FILE:LINE

    def line(self) -> str:
        return f"# CONFIG_{self.name} is not set" if self.value == "n" else f"CONFIG_{self.name}={self.value}"


def parse(text: str) -> dict[str, str]:
    """Symbols of a .config: name without CONFIG_ -> value. Symbols that are not set are left out.

    Lines of other shapes are skipped: a .config comes from a tool, not from a person.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        if (match := _SET.match(line.rstrip())) and match["value"] != "n":
            values[match["name"]] = match["value"]
    return values


def read_fragment(path: Path) -> list[Request]:
    """The requests of a fragment; a line that is none of its three forms is an error."""
    return parse_fragment(read_text(path), str(path))


def parse_fragment(text: str, name: str) -> list[Request]:
    """As `read_fragment`, from text; `name` stands in messages."""
    requests: list[Request] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line, where = raw.strip(), f"{name}:{number}"
        if match := _SET.match(line):
            requests.append(Request(match["name"], match["value"], where))
        elif match := _UNSET.match(line):
            requests.append(Request(match["name"], "n", where))
        elif line and not line.startswith("#"):
            raise SampanError(
                f"{where}: {line!r} is no kconfig line",
                hint='write CONFIG_NAME=y, CONFIG_NAME=42, CONFIG_NAME="text" or # CONFIG_NAME is not set',
                code=EXIT_USAGE,
            )
        elif re.match(r"^#\s*CONFIG_", line):
            # A comment that nearly says "is not set" would be ignored by kconfig: say so.
            raise SampanError(
                f"{where}: {line!r} is a comment to kconfig", hint="write # CONFIG_NAME is not set", code=EXIT_USAGE
            )
    return requests


def merge(fragments: Iterable[Sequence[Request]]) -> dict[str, Request]:
    """All requests by name; later fragments win."""
    return {request.name: request for fragment in fragments for request in fragment}


def apply(base: str, requests: Mapping[str, Request]) -> str:
    """A .config for `make oldconfig`: `base` without the requested symbols, then the requests."""
    kept = []
    for line in base.splitlines():
        match = _SET.match(line) or _UNSET.match(line)
        if not match or match["name"] not in requests:
            kept.append(line)
    return "\n".join([*kept, *(request.line() for request in requests.values())]) + "\n"


def check(requests: Mapping[str, Request], result: str, known: Iterable[str]) -> None:
    """Compare each request with the resulting .config; SampanError names every one that was dropped.

    `known` are all symbols there are, for the nearest name of a misspelt one.
    """
    values, names = parse(result), set(known)
    problems: list[str] = []
    for request in requests.values():
        actual = values.get(request.name, "n")
        if actual == request.value:
            continue
        if request.name not in names:
            near = nearest(request.name, names)
            reason = "there is no such symbol" + (f"; did you mean CONFIG_{near}?" if near else "")
        else:
            reason = f"became {actual!r}: a dependency is not met, or another line decides"
        problems.append(f"{request.where}: {request.line()}: {reason}")
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise SampanError(
            f"{len(problems)} requested symbols were dropped{listed}", hint="mend the fragment", code=EXIT_USAGE
        )
