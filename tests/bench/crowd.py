"""200 app containers at once: are all up and reachable, what does each cost, does their end leave anything?"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.timing import limit
from tests.image.runtime_lab import gone

COUNT = 200
STEPS = 4
PATIENCE = 30.0  #: seconds until a process that is ending must have ended
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _private_kb(pid: int) -> int:
    """What only this process has: pages of the program itself are there once for all of them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return int(dict(line.split(":", 1) for line in rollup)["Anonymous"].split()[0])


def _rows(run: Run) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(run("ls", "--json").stdout)
    return listed


def _supervisors(run: Run, names: list[str]) -> list[int]:
    return [int(json.loads(run("info", name, "--json").stdout)["supervisor"]) for name in names]


def crowd(run: Run, names: list[str], left: Callable[[], list[str]]) -> None:
    """`run` calls a verb in the folder where `names` are defined; `left` lists what is still there of them."""
    print(f"\n{len(names)} app containers at once")
    size = len(names) // STEPS
    memory: list[int] = []
    for step in range(STEPS):
        for name in names[step * size : (step + 1) * size]:
            run("execute", "-d", name, "--", "/bin/sleep", "10000")
        pids = _supervisors(run, names[: (step + 1) * size])
        memory.append(sum(map(_private_kb, pids)))
    states = [row["state"] for row in _rows(run)]
    reached = sum(run("attach", name, "--", "/bin/true").returncode == 0 for name in names)
    print(f"  {'running':<32}{states.count('RUNNING'):>8} of {len(names)}")
    print(f"  {'reached by attach':<32}{reached:>8} of {len(names)}")
    limit("private kB of each supervisor", memory[-1] / len(names), 150, "kB")
    limit("the last fifty against the first", (memory[-1] - memory[-2]) / memory[0], 1.1, "x")
    for name in names:
        run("stop", "-k", name)
    remains = left()
    limit("folders and cgroups left behind", len(remains), 0)
    # A supervisor closes its connection as the last thing it does; its end is the kernel's.
    end = time.monotonic() + PATIENCE
    while (alive := [pid for pid in pids if not gone(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    limit("processes left behind", len(alive), 0)
