"""`sampan demo [BOARD]`: from nothing to two running containers, shown step by step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import click
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from sampan.board.load import load
from sampan.cli.table import print_table
from sampan.control.walkthrough import Check, Reply, run_stage, stages
from sampan.core import tools
from sampan.core.paths import shown
from sampan.qemu.boot import Machine, start
from sampan.qemu.instance import Exit
from sampan.qemu.machine import CGROUPS, BootOptions


@click.command("demo")
@click.argument("board", default="qemux86-64")
@click.option("--cgroup", default="v2", metavar="LAYOUT", show_default=True, help=f"One of {', '.join(CGROUPS)}.")
def command(board: str, cgroup: str) -> None:
    """Build BOARD, boot it under QEMU and run two containers on its serial console.

    What is typed on the console and what it answers is shown as it happens. The first call
    builds everything, the next ones only look whether something changed.
    """
    options = BootOptions(cgroup=cgroup, snapshot=True)  # each demo meets the same data disk
    load(board)
    show = Show()
    with show.timed(f"build {board}"):
        tools.ensure(["build", "boot"])
        from sampan.build.scons import build

        build([board])
    with contextlib.ExitStack() as stack:
        with show.timed("boot to login on the serial console"):
            machine = stack.enter_context(start(board, options))
            machine.login()
        for stage in stages():
            with show.timed(stage.title):
                run_stage(machine, stage, show.reply)
        with show.timed("power off"):
            ended = machine.poweroff()
    show.end(machine, ended)


class Show:
    """What the demo prints: a heading and a time for each step, the dialogue between them."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._times: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def timed(self, title: str) -> Iterator[None]:
        self._console.print(Rule(title, align="left"))
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self._times.append((title, seconds))
        self._console.print(f"[green]ok[/] {seconds:.1f} s", style="dim")

    def reply(self, check: Check, reply: Reply) -> None:
        """A command as typed on the console, and its answer."""
        self._console.print(Text("# ", "dim") + Text(check.command, "bold"))
        if reply.output:
            self._console.print(Text(reply.output.replace("\r", "").rstrip("\n")))
        if reply.status:
            meant = ", as it must be" if check.code in (None, reply.status) else ""
            self._console.print(Text(f"(exit status {reply.status}{meant})", "dim"))

    def end(self, machine: Machine, ended: Exit) -> None:
        """The times, and where to go from here."""
        board = machine.image.board
        self._console.print(Rule(f"{board}: done", align="left"))
        rows = [[title, f"{seconds:.1f}"] for title, seconds in self._times]
        rows.append(["total", f"{sum(seconds for _, seconds in self._times):.1f}"])
        print_table(["step", "seconds"], rows, right=[1])
        log = shown(machine.log) if machine.log else "-"
        self._console.print(
            f"\nQEMU: {ended.reason}, {ended.cpu_seconds:.1f} s of processor time"
            f" ({machine.boot_cpu_seconds:.1f} s to the login)\nconsole log: {log}"
            f"\n\nnow yours:  ./sampanw boot {board}      (log in as root; Ctrl-a x quits)"
            f"\n            ./sampanw size {board}      (where the bytes went)"
        )
