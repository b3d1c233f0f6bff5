"""The catalogue, configs/devices.toml: what device nodes are, how dangerous, and what containers ask for.

Keys are documented in docs/devices.md from these classes. Every row names its source, and the
loader refuses what could make a list wrong: names that do not exist, overlapping numbers,
a danger without a reason.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sampan.config.rules import MAJOR_MAX, MINOR_MAX, Kind
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.tables import convert, read_toml
from sampan.devices.facts import Node

Danger = Literal["harmless", "shared", "high", "never"]
DANGERS: tuple[Danger, ...] = ("harmless", "shared", "high", "never")

_SPAN = r"(?:\*|[0-9]+(?:-[0-9]+)?)"
_NUMBERS = re.compile(rf"({_SPAN}):({_SPAN})")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
Source = Annotated[str, Meta(pattern=r"^\w[\w./-]*$")]  #: a path
Text = Annotated[str, Meta(min_length=1)]


class Span(msgspec.Struct, frozen=True):
    """Device numbers that the kernel fixes: majors and minors from first to last."""

    major: tuple[int, int]
    minor: tuple[int, int]

    def holds(self, major: int, minor: int | None) -> bool:
        """Is this number inside? A minor of None asks for any of the major."""
        first, last = self.major
        return first <= major <= last and (minor is None or self.minor[0] <= minor <= self.minor[1])


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """[device.NAME]: one kind of device."""

    type: Kind
    what: Text  #: in words
    nodes: tuple[Text, ...] = ()  #: patterns of names below /dev
    subsystem: tuple[Text, ...] = ()  #: class or bus in sysfs; a node must be of one of them
    driver: tuple[Text, ...] = ()  #: names in /proc/devices: who holds the major
    misc: tuple[Text, ...] = ()  #: names in /proc/misc: who holds the minor of major 10
    numbers: tuple[Text, ...] = ()  #: MAJOR:MINOR, each with * or FIRST-LAST, where the kernel fixes them
    danger: Danger
    reason: str = ""  #: why it is dangerous
    reaches: tuple[Text, ...] = ()  #: devices through which the same hardware is reached
    partners: tuple[Text, ...] = ()  #: devices without which it is of no use
    caps: tuple[Text, ...] = ()  #: capabilities without which writing to it is of no use
    source: Source  #: where in the kernel's source the row is from

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        return tuple(_span(text) for text in self.numbers)

    def is_node(self, node: Node) -> bool:
        """Is this node a device of the kind?"""
        if node.kind != self.type or (self.subsystem and node.subsystem not in self.subsystem):
            return False
        return any(fnmatchcase(node.name, pattern) for pattern in self.nodes)


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[profile.NAME]: what a container asks for by one word."""

    what: Text
    devices: Annotated[tuple[Text, ...], Meta(min_length=1)]  #: names of device rows
    access: Annotated[str, Meta(pattern="^(r|w|rw)$")] = "rw"  #: unless the container asks for another
    max: Annotated[int, Meta(ge=0)] = 0  #: more nodes than these are ambiguous; 0: all of them


class Catalogue:
    """All rows, with look-up."""

    def __init__(self, devices: dict[str, Device], profiles: dict[str, Profile]) -> None:
        self.devices = devices
        self.profiles = profiles

    def of_node(self, node: Node) -> str:
        """Name of the row that this node belongs to, or ""."""
        return next((name for name, device in self.devices.items() if device.is_node(node)), "")

    def of_path(self, name: str) -> list[str]:
        """Rows whose node patterns fit a name below /dev, whether or not a board has it."""
        rows = self.devices.items()
        return [row for row, device in rows if any(fnmatchcase(name, pattern) for pattern in device.nodes)]

    def of_number(self, kind: Kind, major: int, minor: int | None) -> list[str]:
        """Rows that hold this number on every board."""
        rows = self.devices.items()
        return [name for name, row in rows if row.type == kind and any(span.holds(major, minor) for span in row.spans)]

    def of_driver(self, kind: Kind, driver: str) -> str:
        """The row of a driver by its name in /proc/devices, or ""."""
        rows = self.devices.items()
        return next((name for name, row in rows if row.type == kind and driver in row.driver), "")

    def of_misc(self, name: str) -> str:
        """The row of a misc device by its name in /proc/misc, or ""."""
        return next((row for row, device in self.devices.items() if name in device.misc), "")

    def profile(self, name: str) -> Profile:
        """A profile by its name; an unknown one is a SampanError with the nearest."""
        if name not in self.profiles:
            hint = did_you_mean(name, self.profiles)
            raise SampanError(f"there is no device profile {name!r}", hint=hint, code=EXIT_USAGE)
        return self.profiles[name]

    def danger(self, profile: Profile) -> Danger:
        """The highest danger among the devices of a profile."""
        return max((self.devices[name].danger for name in profile.devices), key=DANGERS.index)


def default_path() -> Path:
    """The catalogue of this checkout."""
    return paths.ROOT / "configs" / "devices.toml"


@lru_cache
def load(path: Path | None = None) -> Catalogue:
    """Read the catalogue; a SampanError names the file, the row and the key."""
    path = path or default_path()
    data = read_toml(path)
    for key in data:
        if key not in ("device", "profile"):
            hint = did_you_mean(key, ["device", "profile"])
            raise SampanError(f"{path}: {key}: unknown table", hint=hint, code=EXIT_USAGE)
        if not isinstance(data[key], dict):
            raise SampanError(f"{path}: {key}: no table: [{key}.NAME] begins a row", code=EXIT_USAGE)
    devices: dict[str, Device] = {}
    profiles: dict[str, Profile] = {}
    for name, row in data.get("device", {}).items():
        devices[name] = convert(row, Device, f"{path}: device.{name}")
    for name, row in data.get("profile", {}).items():
        profiles[name] = convert(row, Profile, f"{path}: profile.{name}")
    _check_names(path, devices, profiles)
    for name, device in devices.items():
        if wrong := _wrong(device):
            raise SampanError(f"{path}: device.{name}: {wrong}", code=EXIT_USAGE)
    _check_overlap(path, devices)
    return Catalogue(devices, profiles)


def _check_names(path: Path, devices: dict[str, Device], profiles: dict[str, Profile]) -> None:
    for name in (*devices, *profiles):
        if not _NAME.fullmatch(name):
            raise SampanError(f"{path}: {name!r} is no name: small letters, digits and dashes", code=EXIT_USAGE)
    uses = [(f"device.{name}.reaches", row.reaches) for name, row in devices.items()]
    uses += [(f"device.{name}.partners", row.partners) for name, row in devices.items()]
    uses += [(f"profile.{name}.devices", row.devices) for name, row in profiles.items()]
    for where, used in uses:
        for name in used:
            if name not in devices:
                hint = did_you_mean(name, devices)
                raise SampanError(f"{path}: {where}: there is no device {name!r}", hint=hint, code=EXIT_USAGE)


def _wrong(device: Device) -> str:
    """Why a row is not one, or ""."""
    if (device.danger != "harmless") != bool(device.reason):
        return "a reason belongs to every danger but harmless, and to no other"
    if not (device.nodes or device.driver or device.misc or device.numbers):
        return "nothing says how to recognise it: nodes, driver, misc or numbers"
    for text in device.numbers:
        if not _NUMBERS.fullmatch(text):
            return f"numbers: {text!r} is not MAJOR:MINOR, each with * or FIRST-LAST"
        span = _span(text)
        for (first, last), highest in ((span.major, MAJOR_MAX), (span.minor, MINOR_MAX)):
            if first > last or last > highest:
                return f"numbers: {text!r} is out of range"
    return ""


def _check_overlap(path: Path, devices: dict[str, Device]) -> None:
    """Two rows that hold one number would make a list depend on their order."""
    held: list[tuple[str, Kind, Span]] = []
    for name, device in devices.items():
        for span in device.spans:
            for other, kind, taken in held:
                if kind == device.type and _cross(span.major, taken.major) and _cross(span.minor, taken.minor):
                    raise SampanError(
                        f"{path}: device.{name}: numbers: device.{other} holds some of them", code=EXIT_USAGE
                    )
            held.append((name, device.type, span))


def _cross(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _span(text: str) -> Span:
    major, _, minor = text.partition(":")
    return Span(_range(major, MAJOR_MAX), _range(minor, MINOR_MAX))


def _range(text: str, highest: int) -> tuple[int, int]:
    if text == "*":
        return 0, highest
    first, _, last = text.partition("-")
    return int(first), int(last or first)
