"""Device numbers of a kernel that was never booted, from its System.map.

Built-in drivers take dynamic majors in the order of their init functions, and System.map has that
order: one symbol an initcall, sorted by address. configs/initcalls.toml says which function takes which
names. What modules take depends on the order they are loaded in, and is not told.

Sources: fs/char_dev.c (find_dynamic_major), block/genhd.c (register_blkdev), include/linux/init.h.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sampan.config.rules import Kind
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import read_text
from sampan.core.tables import convert, read_toml
from sampan.devices.facts import Facts

_SYMBOL = re.compile(r"([0-9a-fA-F]{8,16}) [dDtTrRbB] __initcall_(\S+)")
#: `_kmod_rtc_core__295_478_rtc_init4` since 5.12, `rtc_init4` before; the level is of no use here.
_NAME = re.compile(r"(?:_kmod_.+?__[0-9]+_[0-9]+_)?(?P<name>\w+?)(?:early|rootfs|con|[0-7]s?)?")
_CHAR = (*range(254, 233, -1), *range(511, 383, -1))
_BLOCK = tuple(range(254, 0, -1))
Names = tuple[Annotated[str, Meta(min_length=1)], ...]


class Init(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[init.FUNCTION] of initcalls.toml."""

    char: Names = ()  #: names in /proc/devices, in the order they are registered
    block: Names = ()
    probe: bool = False  #: registered only when a device is there
    proof: dict[str, str] = {}  #: name -> symbol without which a kernel is too old to register the name
    config: str  #: of the kernel, without CONFIG_
    source: Annotated[str, Meta(min_length=1)]  #: file of Linux


@dataclass(frozen=True)
class Major:
    """A predicted major. `otherwise`: what it is if each `probe` driver before it finds a device."""

    kind: Kind
    number: int
    name: str
    init: str
    otherwise: int


@lru_cache
def table() -> dict[str, Init]:
    """configs/initcalls.toml."""
    path = paths.ROOT / "configs" / "initcalls.toml"
    data = read_toml(path)
    return {name: convert(row, Init, f"{path}: init.{name}") for name, row in data.get("init", {}).items()}


def initcalls(text: str, source: str) -> list[str]:
    """Init functions of a System.map, or of a saved /proc/kallsyms, in the order they run."""
    found = [(int(address, 16), _function(name)) for address, name in _SYMBOL.findall(text)]
    if not found:
        hint = "Debian's is in the -dbg package; a Yocto build has it in its kernel-dev package and build folder"
        raise SampanError(f"{source}: no initcalls: it is no System.map, or a stub of one", hint=hint, code=EXIT_USAGE)
    if not text.endswith("\n"):
        hint = "drivers that come later would be left out: copy it again"
        raise SampanError(f"{source}: cut short: its last line has no end", hint=hint, code=EXIT_USAGE)
    if all(address == 0 for address, _ in found):
        raise SampanError(f"{source}: addresses are hidden: save /proc/kallsyms as root", code=EXIT_USAGE)
    return [name for _, name in sorted(found, key=lambda each: each[0])]


def _function(name: str) -> str:
    found = _NAME.fullmatch(name)
    return found["name"] if found else name


def unknown(text: str) -> set[str]:
    """Names that the kernel of a System.map is too old to register, though it has their init function."""
    symbols = set(re.findall(r" [tT] (\w+)$", text, re.MULTILINE))
    return {name for row in table().values() for name, symbol in row.proof.items() if symbol not in symbols}


def majors(functions: Iterable[str], unregistered: Container[str] = ()) -> list[Major]:
    """Dynamic majors that these init functions take, one after the other, but for the names `unregistered`.

    Of two functions of one name (hid and usbhid both have a hid_init) the first is meant: the core is linked first.
    """
    rows = table()
    taken: list[Major] = []
    extra: dict[Kind, int] = {"c": 0, "b": 0}
    for function in dict.fromkeys(functions):
        row = rows.get(function)
        for kind, name in _registered(row) if row else ():
            if name in unregistered:
                continue
            if row and row.probe:
                extra[kind] += 1
                continue
            index = sum(major.kind == kind for major in taken)
            order = _CHAR if kind == "c" else _BLOCK
            taken.append(Major(kind, order[index], name, function, order[index + extra[kind]]))
    return taken


def _registered(row: Init) -> Iterator[tuple[Kind, str]]:
    for name in row.char:
        yield "c", name
    for name in row.block:
        yield "b", name


def as_modules(config: str) -> list[tuple[str, Init]]:
    """Drivers that a kernel configuration makes modules of: (name in /proc/devices, row)."""
    chosen = set(re.findall(r"^CONFIG_(\w+)=m$", config, re.MULTILINE))
    rows = table().values()
    return [(name, row) for row in rows if row.config in chosen for name in (*row.char, *row.block)]


def missing(config: str, functions: Iterable[str]) -> list[str]:
    """Drivers that the configuration builds in and the map has not: they are not of one kernel."""
    built = set(re.findall(r"^CONFIG_(\w+)=y$", config, re.MULTILINE))
    known = set(functions)
    sure = ("rtc_init", "gpiolib_dev_init", "tpm_init", "bsg_init", "pps_init")  # never only part of another option
    return [name for name in sure if table()[name].config in built and name not in known]


@dataclass(frozen=True)
class Check:
    """A prediction beside what a kernel said."""

    major: Major
    real: tuple[int, ...]  #: majors that the name has there

    @property
    def right(self) -> bool:
        return self.major.number in self.real or self.major.otherwise in self.real


def against(predicted: Iterable[Major], facts: Facts) -> list[Check]:
    """Every predicted major beside the recorded one."""
    return [Check(major, tuple(facts.majors_of(major.kind, major.name))) for major in predicted]


def read(path: Path) -> tuple[list[str], set[str]]:
    """Init functions of a file, and the names that its kernel is too old to register."""
    text = read_text(path)
    return initcalls(text, str(path)), unknown(text)
