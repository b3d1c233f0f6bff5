"""Faults at a chosen system call of a command: runtime/tests/inject.c, which traces the runtime's processes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from runtime_lab import RUNTIME, Lab
from runtime_tools import compiler

from sampan.core.run import run


@dataclass(frozen=True)
class Call:
    """One system call: the `seq`th of process `proc`, both as the tracer counts them."""

    proc: int
    seq: int
    name: str
    payload: bool  #: the payload was running already

    def __str__(self) -> str:
        return f"{self.proc}:{self.seq} {self.name}"


@dataclass
class Done:
    """How a traced command ended, and the calls it reported."""

    code: int
    stdout: str
    stderr: str
    calls: list[Call]


@dataclass
class Injector:
    tool: Path
    numbers: dict[int, str]

    def argv(self, report: Path, what: Sequence[str | int], argv: Sequence[str]) -> list[str]:
        return [str(self.tool), str(report), *map(str, what), "--", *argv]

    def calls(self, report: Path) -> list[Call]:
        lines = [line.split() for line in report.read_text().splitlines()]
        return [Call(int(p), int(s), self._name(int(n), arg), ran == "1") for p, s, n, arg, ran in lines]

    def _name(self, number: int, arg: str) -> str:
        name = self.numbers.get(number, str(number))
        if name == "mmap" and arg != "0":
            return "mmap(at)"
        return f"{name}({arg})" if name in ("prctl", "move_mount") else name  # one call that is many

    def run(self, lab: Lab, what: Sequence[str | int], verb: str, *words: str | Path) -> Done:
        """The verb with its `what` (see inject.c) done to it."""
        report = lab.path / "report"
        argv = self.argv(report, what, lab.command(verb, *words))
        done = subprocess.run(argv, env=lab.environment(), text=True, capture_output=True, timeout=30)
        assert done.returncode != 99, done.stderr
        return Done(done.returncode, done.stdout, done.stderr, self.calls(report))

    def popen(
        self, lab: Lab, what: Sequence[str | int], verb: str, *words: str, **more: Any
    ) -> subprocess.Popen[bytes]:
        """The same, and it stays; it is killed when the test ends."""
        argv = self.argv(lab.path / "report", what, lab.command(verb, *words))
        process = subprocess.Popen(argv, env=lab.environment(), **more)
        lab.processes.append(process)
        return process

    def number(self, name: str) -> int:
        return next(number for number, known in self.numbers.items() if known == name)


def make_injector(folder: Path) -> Injector:
    """Builds the tracer, or skips with the reason."""
    if os.uname().machine != "x86_64":
        pytest.skip("the tracer knows x86-64 alone")
    cc, tool = compiler(), folder / "inject"
    run([cc, "-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", RUNTIME / "tests/inject.c", "-o", tool])
    listed = run([cc, "-dM", "-E", "-include", "sys/syscall.h", "-x", "c", "/dev/null"]).stdout
    return Injector(tool, {int(n): name for name, n in re.findall(r"define __NR_(\w+) (\d+)", listed)})
