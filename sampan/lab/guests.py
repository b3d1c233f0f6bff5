"""Targets for tests: fresh guests from boot snapshots, or a board that is there anyway."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sampan.control import target as targets
from sampan.control.lines import LinePlace
from sampan.control.lxc import Container
from sampan.control.remote import Target, connect
from sampan.core.errors import SampanError
from sampan.qemu.boot import Machine, listed
from sampan.qemu.machine import BootOptions

FRESH = ("clone", "boot", "shared")
_LOG_LINES = 200
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """Where a test runs. Exactly one of `target` and `board` is set before it does."""

    target: str = ""  #: a target that is there
    board: str = ""  #: an image to start
    cgroup: str = "v2"
    fresh: str = "clone"
    line: str = ""  #: a simulated line, see docs/vm.md

    @property
    def label(self) -> str:
        """For a test's id."""
        return self.target or f"{Path(self.board).name}-{self.cgroup}"


@dataclass(frozen=True)
class Board:
    """What a test runs on, as far as is known without asking it."""

    name: str  #: as in board/NAME; "" for a line of which nobody said
    cgroup: str  #: layout a guest was booted with; "" for a real board
    machine: Machine | None = None  #: QEMU, with plug, qmp, kill

    def matches(self, patterns: tuple[str, ...]) -> bool:
        """Is it one of these, by name or pattern?"""
        return any(fnmatch.fnmatchcase(self.name, pattern) for pattern in patterns)


class Site:
    """A target with what belongs to it."""

    def __init__(self, board: Board, target: Target, log: Path) -> None:
        self.board = board
        self.target = target
        self._boot_log = log
        self._start = self._size()

    @property
    def _log(self) -> Path:
        """That of the line, which has no frames; before there is one, the machine's own."""
        line = LinePlace(self.target.line.url).log
        return line if line.exists() else self._boot_log

    def _size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def new_test(self) -> None:
        """What the console says from now on belongs to another test."""
        self._start = self._size()

    def said(self) -> str:
        """The console's log of this test, its end when it is long, and how the machine ended."""
        machine = self.board.machine
        text = ""
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            size = self._size()
            log.seek(self._start if self._start <= size else 0)  # a log that was rotated begins anew
            text = log.read().decode("utf-8", errors="replace")
        lines = text.splitlines()
        head = [f"... {len(lines) - _LOG_LINES} lines before, in {self._log}"] if len(lines) > _LOG_LINES else []
        tail = [] if machine is None or machine.running else ["the machine has ended: " + _reason(machine)]
        return "\n".join([*head, *lines[-_LOG_LINES:], *tail])

    @cached_property
    def features(self) -> dict[str, Any]:
        """`checkconfig --json` of the target."""
        done = self.target.verb("checkconfig", "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @property
    def cgroup(self) -> str:
        """The layout it has: v1, v2 or hybrid."""
        return self.board.cgroup or str(self.features["layout"])

    def lacks(self, names: tuple[str, ...]) -> list[str]:
        """Which features its kernel has not, by their names in checkconfig or their CONFIG_ options."""
        rows = self.features["options"]
        known = {str(row[key]).casefold(): row["state"] for row in rows for key in ("name", "option")}
        unknown = [name for name in names if name.casefold() not in known]
        if unknown:
            raise SampanError(f"no such feature: {', '.join(unknown)}", hint="`sampan checkconfig` has their names")
        return [name for name in names if known[name.casefold()] == "missing"]


def _reason(machine: Machine) -> str:
    end = machine.wait(1.0)
    return " ".join(filter(None, [end.reason, machine.instance.console.panicked]))


@contextlib.contextmanager
def opened(place: Place, log: Path) -> Iterator[Site]:
    """A target, for as long as the block lasts. `log`: where a guest's console goes."""
    if place.target:
        found = targets.resolve(place.target)
        yield Site(Board(found.board, ""), connect(place.target), LinePlace(found.url).log)
        return
    fast = place.fresh != "boot"
    options = BootOptions(cgroup=place.cgroup, fast=fast, snapshot=not fast, line=place.line, log=log)
    # A name is used once: whoever still sees the last guest's line cannot take it for this one's.
    name = f"test-{os.getpid()}-{next(_numbers)}"
    with listed(place.board, options, name) as machine:
        if not fast:
            machine.login()
            machine.console.leave()
        target = connect(f"qemu:{machine.image.board}:{machine.name}")
        yield Site(Board(machine.image.board, place.cgroup, machine), target, log)


class ContainerFactory:
    """Makes containers with names of their own, and takes them away."""

    def __init__(self, target: Target, prefix: str) -> None:
        self.target = target
        self._names = (f"{prefix}-{number}" for number in itertools.count(1))
        self._made: list[Container] = []

    def __call__(
        self,
        config: str = "",
        *,
        name: str = "",
        template: str = "busybox",
        start: bool = True,
        edit: Callable[[Container], object] = lambda container: None,
    ) -> Container:
        """A container, running unless `start` is false.

        `config`: lines of its configuration. `edit` may set it up further before it is made.
        Raises SampanError with what the target said when it cannot be had.
        """
        container = self.target.container(name or next(self._names))
        for line in config.splitlines():
            key, equals, value = (part.strip() for part in line.partition("="))
            if equals and not key.startswith("#") and not container.append_config_item(key, value):
                raise SampanError(f"{key} = {value}: no value of this key")
        edit(container)
        self._made.append(container)
        if not container.create(template):
            raise SampanError(f"{container.name}: cannot be created", hint="the console log has the reason")
        if start:
            self.target.verb("start", "-n", container.name).check()
        return container

    def close(self) -> None:
        """Destroy what was made and is still there."""
        for container in reversed(self._made):
            with contextlib.suppress(SampanError):  # a target that is gone took them along
                if container.defined:
                    container.stop()
                    container.destroy()
