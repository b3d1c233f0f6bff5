"""Commands timed in turn, and the tables of their ratios. Times of a busy machine say nothing, ratios of one run do."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass
class Command:
    """One row: what is timed, and what restores the state afterwards (not timed)."""

    name: str
    argv: Sequence[str]
    after: Sequence[str] = ()
    wall: list[int] = field(default_factory=list)  #: microseconds, one a round
    cpu: list[int] = field(default_factory=list)  #: of the command and all it waited for
    failure: str = ""

    @property
    def line(self) -> str:
        """As turns.c reads it."""
        return " ".join([*self.argv, *([";;", *self.after] if self.after else [])])


def compile_for(target: str, source: str, out: Path) -> Path:
    """A static program of this folder for a zig target such as aarch64-linux-musl."""
    argv = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-Os", "-static", "-s"]
    subprocess.run([*argv, str(HERE / source), "-o", str(out)], check=True)
    return out


def take(commands: Sequence[Command], output: str) -> None:
    """Fills in what turns.c wrote."""
    for line in output.splitlines():
        index, wall, rest = line.split(" ", 2)
        command = commands[int(index)]
        if wall == "-":
            command.failure = rest.strip()
        else:
            command.wall.append(int(wall))
            command.cpu.append(int(rest))


def in_turn(turns: Path, commands: Sequence[Command], rounds: int, prefix: Sequence[str] = ()) -> None:
    """Runs them on this machine; `prefix` may be chrt or the like."""
    text = "".join(f"{command.line}\n" for command in commands)
    done = subprocess.run([*prefix, str(turns), str(rounds)], input=text, stdout=subprocess.PIPE, text=True, check=True)
    take(commands, done.stdout)


def ratio(values: Sequence[int], base: Sequence[int]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(a / max(b, 1) for a, b in zip(values, base, strict=True))


def table(title: str, commands: Sequence[Command], bars: dict[str, float]) -> None:
    """Ratios to the first row, of time and of processor time, and the bar of the first where there is one."""
    base = commands[0]
    print(f"\n{title}\n  {'':<26}{'time x ' + base.name:>22}{'CPU x':>8}   bar")
    for command in commands:
        if command.failure or base.failure:
            print(f"  {command.name:<26}  left out: {command.failure or 'nothing to compare with'}")
            continue
        time, cpu = ratio(command.wall, base.wall), ratio(command.cpu, base.cpu)
        print(f"  {command.name:<26}{time:22.2f}{cpu:8.2f}   {verdict(time, bars.get(command.name))}")


def verdict(value: float, bar: float | None) -> str:
    if bar is None:
        return ""
    return f"<= {bar:g}  {'met' if value <= bar else 'MISSED'}"


def limit(name: str, value: float, bar: float | None, unit: str = "") -> None:
    """A row that is no ratio."""
    print(f"  {name:<32}{round(value, 2):>8} {unit:<3} {verdict(value, bar)}")
