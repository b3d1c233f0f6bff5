"""The lines of a container configuration: LXC's `key = value` language before any key is looked at.

What holds here holds in the runtime too (runtime/src/conf_read.c), limits included. Text is
str with undecodable bytes as surrogates; lengths are those of the bytes.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

#: Limits of the runtime (runtime/src/limits.h); a test holds the two together.
NAME_LEN_MAX = 64
CONF_LINE_MAX = 4096
CONF_BYTES_MAX = 65536
CONF_DEPTH_MAX = 8
CONF_ERRORS_MAX = 32
MOUNTS_MAX = 128
LAYERS_MAX = 8
CGVALUES_MAX = 64
DEVRULES_MAX = 512
NICS_MAX = 8
ADDRS_MAX = 32
ENVS_MAX = 64
SETS_MAX = 64
HOOKS_MAX = 64
GROUPS_MAX = 32
GIDS_MAX = 32
IDMAPS_MAX = 32
PATH_LEN_MAX = 1024
WORDS_MAX = 64

BLANKS = " \t"


class Line(NamedTuple):
    """One line without blanks at its ends; with `wrong` it must not be used."""

    number: int
    text: str
    wrong: str = ""


def words(text: str) -> tuple[str, ...]:
    """The words of a table that is easier to read as a text."""
    return tuple(text.split())


def size(text: str) -> int:
    """Bytes of a text."""
    return len(os.fsencode(text))


def lines(data: bytes) -> Iterator[Line]:
    """Lines end in LF or CR LF; the last one may have no end."""
    rows = data.split(b"\n")
    if not rows[-1]:
        rows.pop()
    for number, row in enumerate(rows, 1):
        bare = row.removesuffix(b"\r")
        wrong = ""
        if len(row) > CONF_LINE_MAX:
            wrong = f"the line is longer than {CONF_LINE_MAX} bytes (CONF_LINE_MAX)"
        elif any(byte < 0x20 and byte != 9 or byte == 0x7F for byte in bare):
            wrong = "the line holds a control character"
        yield Line(number, "" if wrong else os.fsdecode(bare).strip(BLANKS), wrong)


def unquote(value: str) -> str:
    """Surrounding quotes go when both are there and alike, as in LXC."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def printable(text: str) -> str:
    """What may go to a terminal: a configuration must not drive it."""
    shown = os.fsencode(text).decode("utf-8", "replace")
    return "".join("?" if unicodedata.category(char) in ("Cc", "Cf") else char for char in shown)
