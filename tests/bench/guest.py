"""The start's bars inside QEMU: the runtime of each architecture against the floor, by its own processor's clock.

    python -m tests.bench.guest [--rounds N] [BOARD...]

The floor and the timer of the host's table go on a data disk and run in the machine, round by
round in turn. An emulated processor is slow and uneven; the ratios of one run are what counts.
LXC's tools are compared too when the image has them (it has not, unless one adds them).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from sampan.build import image
from sampan.build.toolchain import TARGETS
from sampan.core import paths
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions
from tests.bench.runtime import NO_FILTER, app_config
from tests.bench.timing import Command, compile_for, limit, table, take

BOARDS = ("qemuarm", "qemuarm64")
DISK = "/var/lib/lxc"  # where a machine mounts its data disk
PROGRAMS = ("floor.c", "turns.c")
SECONDS = 900.0  #: of the machine's clock, for all rounds


def make_disk(board: str, layout: str, folder: Path) -> Path:
    """A data disk with the programs, a container b and one f with the default filter."""
    arch = image.load(paths.build_dir() / board).arch
    for source in PROGRAMS:
        compile_for(TARGETS[arch].zig, source, folder / source[:-2])
    root = folder / "rootfs"
    for name in ("bin", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True)
    (root / "bin/true").symlink_to("busybox")
    for name, more in (("b", [NO_FILTER]), ("f", [])):
        (folder / name).mkdir()
        lines = [*app_config(f"{DISK}/rootfs", layout), *more, f"lxc.uts.name = {name}"]
        (folder / name / "config").write_text("".join(f"{line}\n" for line in lines))
    disk = folder.with_suffix(".ext4")
    argv = ["mke2fs", "-q", "-t", "ext4", "-L", "sampan-data", "-d", str(folder), str(disk), "16M"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return disk


def measure(machine: Machine, layout: str, rounds: int) -> list[Command]:
    """Every command in turn, with what the machine's shell says of it."""
    group = "/sys/fs/cgroup" if layout == "v2" else "/sys/fs/cgroup/devices"
    commands = [
        Command("floor", [f"{DISK}/floor", layout, f"{group}/floor{{n}}", f"{DISK}/rootfs", "/bin/true"]),
        Command("sampan execute", ["/usr/bin/sampan", "execute", "b", "--", "/bin/true"]),
        Command("  with the default filter", ["/usr/bin/sampan", "execute", "f", "--", "/bin/true"]),
    ]
    machine.run(f"cp /bin/busybox {DISK}/rootfs/bin/").check()
    where = machine.run("command -v sampan").check().output.strip()
    for command in commands[1:]:
        command.argv = [where, *command.argv[1:]]
    lines = "\n".join(command.line for command in commands)
    machine.run(f"cat > /tmp/commands <<'END'\n{lines}\nEND").check()
    done = machine.run(f"{DISK}/turns {rounds} < /tmp/commands", timeout=SECONDS).check()
    take(commands, done.output)
    return commands


def bench(board: str, layout: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as temporary:
        folder = Path(temporary) / "disk"
        folder.mkdir()
        disk = make_disk(board, layout, folder)
        options = BootOptions(cgroup=layout, snapshot=True, data=disk, log=Path(temporary) / "console.log")
        with booted(paths.build_dir() / board, options) as machine:
            commands = measure(machine, layout, rounds)
            table(f"{board}, start to exit of /bin/true, cgroups {layout}", commands, {"sampan execute": 1.25})
            machine.run("sampan start b -- /bin/busybox sleep 1000").check()
            pid = json.loads(machine.run("sampan info b --json").check().output)["supervisor"]
            text = machine.run(f"cat /proc/{pid}/smaps_rollup").check().output
            rollup = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            limit("private memory of a supervisor", int(rollup["Anonymous"].split()[0]), 150, "kB")
            machine.run("sampan stop -k b").check()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.guest", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("boards", nargs="*", metavar="BOARD", default=list(BOARDS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--layout", choices=("v1", "v2"), help="this one alone")
    args = parser.parse_args()
    for board in args.boards:
        if not (paths.build_dir() / board / "image.json").exists():
            sys.exit(f"{board} is not built: ./sampanw build {board}")
        for layout in [args.layout] if args.layout else ("v2", "v1"):
            bench(board, layout, args.rounds)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
