"""A target by its name: `qemu:BOARD`, or a serial line such as /dev/ttyUSB0?baud=115200."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl

from sampan.board import load as boards
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.qemu.boot import booted
from sampan.qemu.machine import BootOptions
from sampan.serial.console import Console
from sampan.serial.log import LineLog
from sampan.serial.ports import open_port
from sampan.serial.session import COMMAND_SECONDS, Result
from sampan.serial.sync import SyncConsole, shared_loop


class Shell(Protocol):
    """Root's shell on a target."""

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> Result: ...


@dataclass(frozen=True)
class Target:
    """A target that is logged in."""

    name: str  #: as a person wrote it
    board: str  #: of which it is; "" when nothing tells
    shell: Shell


def split(spec: str) -> tuple[str, int]:
    """The line and its rate of `LINE?baud=RATE`."""
    line, _, options = spec.partition("?")
    rate = 115200
    for key, value in parse_qsl(options, keep_blank_values=True):
        if key != "baud" or not value.isdigit():
            raise SampanError(f"{spec}: {key}={value}: no option of a line", hint="baud=115200", code=EXIT_USAGE)
        rate = int(value)
    return line, rate


@contextlib.contextmanager
def opened(spec: str, board: str = "", *, cgroup: str = "v2") -> Iterator[Target]:
    """Boot or open the target, log in as root, and leave it as it was found.

    `board` says which board a serial line is of; `cgroup` is the layout that a QEMU board boots with.
    """
    kind, colon, name = spec.partition(":")
    if kind == "qemu" and colon:
        with tempfile.TemporaryDirectory() as folder:
            options = BootOptions(snapshot=True, cgroup=cgroup, log=Path(folder) / "console.log")
            with booted(name, options) as machine:
                yield Target(spec, machine.image.board, machine)
                machine.poweroff()
    elif "/" in spec:
        with _line(*split(spec)) as console:
            yield Target(spec, board, console)
    else:
        hint = f"did you mean qemu:{spec}?" if spec in boards.names() else "qemu:BOARD or a serial line, /dev/ttyUSB0"
        raise SampanError(f"{spec!r} is no target", hint=hint, code=EXIT_USAGE)


@contextlib.contextmanager
def _line(name: str, baud: int) -> Iterator[SyncConsole]:
    thread = shared_loop()

    async def begin() -> Console:
        console = Console(open_port(name, baud), LineLog(None))
        console.start()
        return console

    console = SyncConsole(thread.call(begin()), thread)
    try:
        console.login()
        yield console
        console.leave()
    finally:
        console.close()
