"""Device rules by name, as the runtime reads them (runtime/src/symbol.c): their grammar alone.

/dev/rtc0 rw            the node of that name; the last component may be a pattern
char-ttyUSB rw          the devices of a driver as /proc/devices names it; or block-loop
class:rtc rw optional   the devices of a class of sysfs; there need be none yet
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sampan.config import rules
from sampan.core.errors import SampanError

NAME_MAX = 63  #: bytes of a name (SYMBOL_NAME_MAX)

_SYMBOL = re.compile(r"(?P<form>/dev/|char-|block-|class:)(?P<name>[^ ]*)(?P<rest>.*)")
_REST = re.compile(r"(?: (?P<access>[rwm]{1,3}))?(?P<optional> optional)?")
_PATTERN = re.compile(r"[^\[]|\[!.[^\]]*\]|\[[^!][^\]]*\]")


@dataclass(frozen=True)
class Symbol:
    """One of them: `form` is what it begins with, `name` the rest of the word."""

    form: str
    name: str
    access: str = "rw"
    optional: bool = False


def is_symbol(value: str) -> bool:
    """Does it begin like a name?"""
    return value.startswith(("/dev/", "char-", "block-", "class:", "profile:"))


def parse(value: str) -> Symbol:
    """A symbol from the value of a device key, or a SampanError."""
    if value.startswith("profile:"):
        raise SampanError("a profile becomes numbers on the host", hint="sampan devices generate")
    found = _SYMBOL.fullmatch(value)
    if found is None or not _name_good(found["form"], found["name"]):
        raise SampanError(f"{value!r} names no device", hint="/dev/rtc0, /dev/ttyUSB*, char-DRIVER, class:CLASS")
    rest = _REST.fullmatch(found["rest"])
    access = rest["access"] or "rw" if rest else ""
    if rest is None or len(set(access)) < len(access):
        raise SampanError(f"{value!r}: behind the name stand one to three of r, w, m, and `optional`")
    return Symbol(found["form"], found["name"], access, bool(rest["optional"]))


def _name_good(form: str, name: str) -> bool:
    if not name or len(name.encode()) > NAME_MAX or re.fullmatch(f"(?:{_PATTERN.pattern})*", name) is None:
        return False
    if form == "class:":
        return "/" not in name and not name.startswith(".") and not _is_pattern(name)
    if form != "/dev/":
        return True
    folder, _, last = name.rpartition("/")
    return bool(last) and not name.startswith("/") and ".." not in name and "//" not in name and not _is_pattern(folder)


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def parse_expected(value: str) -> tuple[rules.Rule, str]:
    """`c 252:0 rtc0`: a number and the node (or with minor `*` the driver) it must be, or a SampanError."""
    found = re.fullmatch(r"(?P<number>. [^ ]+) (?P<name>.+)", value)
    rule = rules.parse(f"{found['number']} r") if found else None
    if found is None or rule is None:
        raise SampanError(f"{value!r} is no number with its name", hint="TYPE MAJOR:MINOR NAME, as in: c 252:0 rtc0")
    return rule, found["name"]
