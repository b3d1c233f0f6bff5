"""Devices that are plugged into a running machine and pulled out again, over QMP.

A machine needs ports for that (BootOptions.ports): PCI Express root ports for disks and network
cards, an xHCI controller for what is on USB. What is plugged has two halves, a front the guest sees and
a back on this host; both come and go together, whatever fails in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.qemu.qmp import QmpError
from sampan.serial.clock import Clock, Deadline

Kind = Literal["usb-serial", "usb-block", "block", "net"]
KINDS = ("usb-serial", "usb-block", "block", "net")
PORTS = 4  #: PCI Express root ports a machine gets
#: What `ports` adds to a machine's command line.
PORT_DEVICES = (*(f"pcie-root-port,id=port{n},chassis={n + 1}" for n in range(PORTS)), "qemu-xhci,id=usb")

_UNPLUG_SECONDS = 30.0  #: pciehp lets the button blink for five before it lets go
_LOOK_SECONDS = 0.05
_PREFIX = "plug-"

Execute = Callable[[str, Mapping[str, object]], Awaitable[object]]
_Json = dict[str, object]


@dataclass(frozen=True)
class Plugged:
    """A device in a machine. `host` is its other side here, such as a pty's path; "" when there is none."""

    id: str
    kind: Kind
    host: str = ""


@dataclass(frozen=True)
class _Front:
    """device_add's arguments; `buses` are tried in turn."""

    arguments: _Json
    buses: tuple[str, ...]


@dataclass(frozen=True)
class _Back:
    """Commands that make the host's half, and those that undo them, last first."""

    make: list[tuple[str, _Json]] = field(default_factory=list)
    undo: list[tuple[str, _Json]] = field(default_factory=list)


def _halves(kind: Kind, name: str, file: Path | None, read_only: bool) -> tuple[_Front, _Back]:
    """A pure function: what is to be said to QEMU for one device."""
    front: _Json = {"id": name}
    slots = tuple(f"port{n}" for n in range(PORTS))
    slot = {"addr": "0"}  # a port has one slot, and QEMU gives out others that no guest sees
    if kind == "net":
        back = _Back([("netdev_add", {"type": "hubport", "id": name, "hubid": 0})], [("netdev_del", {"id": name})])
        return _Front(front | slot | {"driver": "virtio-net-pci", "netdev": name, "mac": fresh_mac()}, slots), back
    if kind == "usb-serial":
        pty: _Json = {"id": name, "backend": {"type": "pty", "data": {}}}
        back = _Back([("chardev-add", pty)], [("chardev-remove", {"id": name})])
        return _Front(front | {"driver": "usb-serial", "chardev": name}, ("usb.0",)), back
    source = {"driver": "file", "filename": str(file), "read-only": read_only}
    node = {"driver": "raw", "node-name": name, "file": source, "read-only": read_only}
    back = _Back([("blockdev-add", node)], [("blockdev-del", {"node-name": name})])
    if kind == "usb-block":
        return _Front(front | {"driver": "usb-storage", "drive": name}, ("usb.0",)), back
    return _Front(front | slot | {"driver": "virtio-blk-pci", "drive": name}, slots), back


def fresh_mac() -> str:
    """A MAC address nobody else has: QEMU's prefix, locally administered, and chance."""
    return ":".join(["52", "54", "00", *(f"{byte:02x}" for byte in secrets.token_bytes(3))])


def _check(kind: str, file: Path | None) -> Kind:
    if kind not in KINDS:
        raise SampanError(f"{kind!r}: cannot be plugged", hint=did_you_mean(kind, KINDS), code=EXIT_USAGE)
    needs_file = kind in ("block", "usb-block")
    if needs_file != (file is not None):
        text = "needs a file" if needs_file else "takes no file"
        raise SampanError(f"plug {kind}: {text}", code=EXIT_USAGE)
    if file is not None and not file.is_file():
        raise SampanError(f"{file}: there is no such file", code=EXIT_USAGE)
    return kind  # type: ignore[return-value]


async def plug(
    execute: Execute, kind: str, file: Path | None = None, *, name: str = "", read_only: bool = False
) -> Plugged:
    """Plug a device in; the guest notices when its driver does. Raises SampanError."""
    checked = _check(kind, file)
    present = await plugged(execute)
    free = (f"{kind}{number}" for number in range(1, 1000) if f"{kind}{number}" not in present)
    name = name or next(free)
    if name in present:
        raise SampanError(f"{name}: a device of this name is plugged in", code=EXIT_USAGE)
    front, back = _halves(checked, _PREFIX + name, file and file.absolute(), read_only)
    host = ""
    try:
        for command, arguments in back.make:
            answer = await execute(command, arguments)
            host = str(answer.get("pty", "")) if isinstance(answer, dict) else ""
        await _add(execute, front)
    except BaseException:
        await _undo(execute, back)
        raise
    return Plugged(name, checked, host)


async def _add(execute: Execute, front: _Front) -> None:
    for bus in front.buses:
        try:
            await execute("device_add", front.arguments | {"bus": bus})
            return
        except QmpError as error:
            if "not found" in error.message:
                raise SampanError("this machine has no such port", hint="start it with --ports") from error
            if "in use" not in error.message and "occupied" not in error.message:
                raise
    raise SampanError(f"all {len(front.buses)} ports are taken", hint="`sampan vm unplug` frees one")


async def plugged(execute: Execute) -> list[str]:
    """Names of what is plugged in."""
    answer = await execute("qom-list", {"path": "/machine/peripheral"})
    names = [str(entry.get("name")) for entry in answer if isinstance(entry, dict)] if isinstance(answer, list) else []
    return sorted(name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))


async def unplug(execute: Execute, name: str, clock: Clock) -> None:
    """Ask the guest to let go of a device, wait until it has, and give its host's half back."""
    present = await plugged(execute)
    if name not in present:
        raise SampanError(f"{name}: is not plugged in", hint=did_you_mean(name, present) if present else "")
    deadline = Deadline(clock, _UNPLUG_SECONDS)
    # A guest that is still taking the device in lets go of it a little later.
    await _until_free(execute, "device_del", {"id": _PREFIX + name}, deadline)
    while name in await plugged(execute):
        if deadline.left <= 0:
            raise SampanError(
                f"{name}: the guest did not let go within {_UNPLUG_SECONDS:g} s",
                hint="PCI devices need a kernel with PCI hot-plug (HOTPLUG_PCI_PCIE)",
            )
        await asyncio.sleep(_LOOK_SECONDS)
    command, arguments = await _half_left(execute, _PREFIX + name)
    # The guest's half is out of the tree now but may not be taken apart yet.
    await _until_free(execute, command, arguments, deadline)


async def _until_free(execute: Execute, command: str, arguments: _Json, deadline: Deadline) -> None:
    """Say a command until it is not refused because something is busy."""
    while True:
        try:
            await execute(command, arguments)
            return
        except QmpError as error:
            if deadline.left <= 0 or not ("in use" in error.message or "busy" in error.message):
                raise
        await asyncio.sleep(_LOOK_SECONDS)


async def _half_left(execute: Execute, name: str) -> tuple[str, _Json]:
    """What undoes the host's half of a device; QEMU knows of which kind it was."""
    for query, key, undo in (
        ("query-chardev", "label", "chardev-remove"),
        ("query-named-block-nodes", "node-name", "blockdev-del"),
    ):
        answer = await execute(query, {})
        if isinstance(answer, list) and any(isinstance(entry, dict) and entry.get(key) == name for entry in answer):
            return undo, {"id" if undo == "chardev-remove" else key: name}
    return "netdev_del", {"id": name}


async def _undo(execute: Execute, back: _Back) -> None:
    for command, arguments in back.undo:
        with contextlib.suppress(QmpError):
            await execute(command, arguments)
