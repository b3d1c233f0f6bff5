"""Root's shell on a target, for what asks its kernel questions: a machine booted for it, or a board's line."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sampan.control.remote import Target
from sampan.control.target import resolve
from sampan.qemu.boot import booted
from sampan.qemu.machine import BootOptions
from sampan.serial.session import COMMAND_SECONDS, Result

#: A script is longer than a request may be, so it comes as input; what it runs has none.
_SCRIPT = 's=$(cat);exec 2>&1 </dev/null;eval "$s"'


class Shell(Protocol):
    """Root's shell on a target."""

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> Result: ...


@dataclass(frozen=True)
class Subject:
    """A target that is asked."""

    name: str  #: as a person wrote it
    board: str  #: of which it is; "" when nothing tells
    shell: Shell


class LineShell:
    """A target's shell over its line. The line is as patient as the command is slow."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> Result:
        done = self._target.run(["sh", "-c", _SCRIPT], stdin=command.encode())
        return Result(command, done.status, done.stdout, checked=True)


def subject(target: Target, board: str = "") -> Subject:
    """A target behind a line; `board` overrules what the line's name says."""
    return Subject(target.line.target, board or target.line.board, LineShell(target))


def boots(spec: str, *, running: bool = False) -> str:
    """The board whose image is booted for `spec`, or "" when it names something that is there.

    `running`: qemu:BOARD means a machine that runs already, as qemu:BOARD:INSTANCE always does.
    """
    name = spec.removeprefix("qemu:")
    return "" if running or name == spec or ":" in name else name


@contextlib.contextmanager
def opened(spec: str, board: str = "", *, cgroup: str = "v2", running: bool = False) -> Iterator[Subject]:
    """A target by its name; a board's image is booted (see `boots`), with that cgroup layout, and ended again."""
    name = boots(spec, running=running)
    if not name:
        yield subject(Target(resolve(spec)), board)
        return
    with tempfile.TemporaryDirectory() as folder:
        options = BootOptions(snapshot=True, cgroup=cgroup, log=Path(folder) / "console.log")
        with booted(name, options) as machine:
            yield Subject(spec, machine.image.board, machine)
            machine.poweroff()
