"""The bars of QEMU instances, measured: `PYTHONPATH=. python tests/bench/vm.py` prints the table.

Times are processor seconds of QEMU and of the programs that start it, summed: a busy host changes them little.
Run it alone for the wall times beside them.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sampan.cli.table import print_table
from sampan.core.paths import ROOT, build_dir
from sampan.qemu import vm
from sampan.qemu.boot import booted
from sampan.qemu.machine import BootOptions
from sampan.qemu.places import root

ARCHES = ("qemux86-64", "qemuarm", "qemuarm64")
CLONES = 16
STARTS = 20
KILLS = 100

Row = list[str]


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def own_cpu() -> float:
    return time.process_time()


def sampan(*words: str) -> float:
    """Run a command to its end; its own processor seconds (not those of what it leaves running)."""
    before = children_cpu()
    subprocess.run([sys.executable, "-m", "sampan", *words], cwd=ROOT, check=True, capture_output=True)
    return children_cpu() - before


def of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def private_mb(pid: int) -> float:
    """Memory that only this process has, in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)) * 1024 / 1e6


def ups(board: str, *options: str) -> tuple[float, float]:
    """Medians of three `vm up`: processor seconds of the command, the keeper and QEMU; wall seconds."""
    walls, cpus = [], []
    for _ in range(3):
        began = time.monotonic()
        command = sampan("vm", "up", board, "--name", "clone", *options)
        walls.append(time.monotonic() - began)
        (state,) = [state for state in vm.ls() if state.name == "clone"]
        cpus.append(command + of(state.pid) + of(state.keeper))
        sampan("vm", "down", "clone")
    return sorted(cpus)[1], sorted(walls)[1]


def up_fast(board: str) -> list[Row]:
    boot, _ = ups(board, "--snapshot")
    sampan("vm", "up", board, "--fast", "--name", "maker")
    sampan("vm", "down", "maker")
    cpu, wall = ups(board, "--fast")
    return [
        [f"vm up --fast {board}", f"{cpu:.2f} s CPU ({wall:.2f} s)", "<= 0.5 s", verdict(cpu <= 0.5)],
        [f"  against a boot of {boot:.2f} s CPU", f"1/{boot / cpu:.1f}", "<= 1/5", verdict(cpu <= boot / 5)],
    ]


def clones(board: str, log: Path) -> list[Row]:
    with contextlib.ExitStack() as stack:
        began, mine = time.monotonic(), own_cpu()
        machines = [
            stack.enter_context(booted(board, BootOptions(fast=True, log=log.with_suffix(f".{number}"))))
            for number in range(CLONES)
        ]
        wall = time.monotonic() - began
        cpu = own_cpu() - mine + sum(machine.cpu_seconds for machine in machines)
        private = max(private_mb(machine.pid) for machine in machines)
    return [
        [f"{CLONES} clones {board}", f"{cpu:.2f} s CPU ({wall:.2f} s)", "<= 4 s", verdict(cpu <= 4)],
        ["  private memory of each", f"{private:.0f} MB", "<= 40 MB", verdict(private <= 40)],
    ]


def suite(board: str, log: Path) -> list[Row]:
    """Sixteen tests, each with a guest of its own that runs a command and is powered off hard."""

    def run(options: BootOptions) -> float:
        total = 0.0
        for number in range(CLONES):
            with booted(board, options) as machine:
                machine.run(f"test {number} -ge 0").check()
                total += machine.cpu_seconds
        return total

    clone = run(BootOptions(fast=True, log=log))
    boot = run(BootOptions(snapshot=True, log=log))
    text = f"{clone:.1f} s CPU, 1/{boot / clone:.1f} of {boot:.1f}"
    return [[f"suite of {CLONES} tests {board}", text, "<= 1/5", verdict(clone <= boot / 5)]]


def left_behind() -> int:
    """Processes, sockets and folders of the machines of this run."""
    marker = str(root())
    processes = 0
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            processes += f"XDG_RUNTIME_DIR={root().parents[1]}\0".encode() in entry.read_bytes() + b"\0"
    own = 1 if f"XDG_RUNTIME_DIR={root().parents[1]}" in Path("/proc/self/environ").read_text() else 0
    qemus = subprocess.run(["pgrep", "-fc", marker], capture_output=True, text=True, check=False).stdout
    return processes - own + int(qemus or 0) + len(list(root().glob("*")))


def nothing_left(board: str) -> list[Row]:
    for number in range(STARTS):
        vm.up(board, f"m{number}", BootOptions(fast=True))
    for number in range(STARTS):
        vm.down(f"m{number}")
    starts = left_behind()
    chance, kills = random.Random(1), 0
    for _ in range(KILLS):
        client = subprocess.Popen(
            [sys.executable, "-m", "sampan", "vm", "up", board, "--fast", "--name", "victim"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0, 0.6))
        client.send_signal(signal.SIGKILL)
        kills += client.wait() == -signal.SIGKILL
        # What was up by then is a machine that somebody wanted; what was not goes by itself.
        vm.down("victim") if any(state.name == "victim" for state in vm.ls()) else None
        deadline = time.monotonic() + 60
        while left_behind() and time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                vm.down("victim")
            time.sleep(0.05)
    return [
        [f"{STARTS} machines started and stopped", f"{starts} left", "0", verdict(starts == 0)],
        [
            f"client killed {KILLS} times ({kills} before it ended)",
            f"{left_behind()} left",
            "0",
            verdict(not left_behind()),
        ],
    ]


def verdict(ok: bool) -> str:
    return "ok" if ok else "MISSED"


@contextlib.contextmanager
def own_runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        yield Path(folder)


def main() -> int:
    boards = [board for board in ARCHES if (build_dir() / board / "image.json").is_file()]
    with own_runtime() as folder:
        log = folder / "console"
        rows = [row for board in boards for row in up_fast(board)]
        rows += [row for board in boards for row in clones(board, log)]
        rows += suite(boards[0], log)
        rows += nothing_left(boards[-1])
    print_table(["what", "measured", "bar", ""], rows)
    return any(row[3] == "MISSED" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
