"""Groups session and shell: what a person and a script meet over a paced line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from line_paced import PacedBoard
from line_rows import CLEAN, Row, share, verdict
from serial_pair import FULL, noise

from sampan.control.remote import Target
from sampan.core.paths import ROOT, build_dir


def session_rows(folder: Path) -> Iterator[Row]:
    """What a person and a script meet, over a paced line with a real agent at its end."""
    board = PacedBoard(CLEAN, folder)
    target = board.target
    try:
        target.run(["true"])
        trips = []
        for _ in range(20):
            began = time.monotonic()
            target.run(["true"]).check()
            trips.append(time.monotonic() - began)
        trip = statistics.median(trips)
        yield ["exec round trip, median of 20", f"{trip * 1000:.0f} ms", "<= 50 ms", verdict(trip <= 0.05)]
        yield from push_rows(target, folder)
        yield echo_row(target, folder)
        yield cold_row(board)
        yield from memory_rows(target)
    finally:
        board.close()


def push_rows(target: Target, folder: Path) -> Iterator[Row]:
    data = bytearray(noise(1 << 20))
    (folder / "image").write_bytes(data)
    began = time.monotonic()
    target.push(folder / "image", f"{folder}/there")
    full = time.monotonic() - began
    rate = len(data) / full / FULL
    yield ["push of 1 MB, incompressible", f"{full:.1f} s, {share(rate)}", "above the modems", ""]
    for at in range(10):
        start = at * 100_000 + 777
        data[start : start + 1049] = noise(1049, at + 5)
    (folder / "image").write_bytes(data)
    began = time.monotonic()
    moved = target.push(folder / "image", f"{folder}/there")
    part = time.monotonic() - began
    assert (folder / "there").read_bytes() == data
    seen = f"{part:.2f} s, {share(part / full)}, {moved.sent} bytes"
    yield ["the same with 1 % changed, at 10 places", seen, "<= 3%", verdict(part <= full * 0.03)]


def echo_row(target: Target, folder: Path) -> Row:
    """A key's way to a program on a pty and back, while a push keeps the line full."""
    (folder / "bulk").write_bytes(noise(300_000, 8))
    pushing = threading.Thread(target=lambda: target.push(folder / "bulk", f"{folder}/bulk.there"))

    from sampan.control.client import Connection
    from sampan.control.packets import Kind

    request = {"do": "run", "words": ["cat"], "terminal": True, "urgent": True}
    with Connection(target.line, request) as connection:
        pushing.start()
        time.sleep(3)
        waits = []
        for number in range(30):
            began = time.monotonic()
            connection.send(Kind.INPUT, b"%c" % (97 + number % 26))
            while not any(kind == Kind.STDOUT for kind, _ in connection.read()):
                pass
            waits.append(time.monotonic() - began)
            time.sleep(0.13)
        busy = pushing.is_alive()
        connection.send(Kind.SIGNAL, b"\x09")
    pushing.join()
    median, worst = statistics.median(waits), max(waits)
    seen = f"{median * 1000:.0f} ms, worst {worst * 1000:.0f}" + ("" if busy else " (the push had ended)")
    return ["key echo while a push runs, median of 30", seen, "<= 150 ms", verdict(median <= 0.15)]


def cold_row(board: PacedBoard) -> Row:
    """`sampan on T ls` when nothing runs yet: Python's start, that of the line's owner, the agent's."""
    from sampan.control.client import Connection, LineFailure
    from sampan.control.lines import LinePlace

    best = 9.0
    for _ in range(3):
        with Connection(board.target.line, {"do": "end", "baud": 0}) as last, contextlib.suppress(LineFailure):
            last.read()
        LinePlace(board.target.line.url).wait_until_free(20)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "sampan", "on", f"unix://{board.path}", "ls", "-P", "/nowhere"]
        subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        owner = LinePlace(board.target.line.url).owned()
        assert owner is not None
        fields = Path(f"/proc/{owner.pid}/stat").read_text().rpartition(") ")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        best = min(best, cpu + after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return ["sampan on T ls, nothing running before, host CPU", f"{best:.2f} s", "<= 0.4 s", verdict(best <= 0.4)]


def memory_rows(target: Target) -> Iterator[Row]:
    text = target.run("cat /proc/$PPID/smaps_rollup").check().output
    private = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_Dirty"))
    yield [
        "agent's private memory, besides its text",
        f"{private} kB",
        "<= 200 kB",
        verdict(private <= 200),
    ]
    source, generated = ROOT / "runtime" / "src", build_dir() / "gen"
    files = [source / f"{name}.c" for name in ("agent", "chan", "frame", "link", "delta")]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Os", "-fno-asynchronous-unwind-tables", f"-I{source}", f"-I{generated}"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["gcc", *flags, "-c", *files], cwd=folder, check=True)
        objects = sorted(Path(folder).glob("*.o"))
        said = subprocess.run(["size", *objects], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    size = sum(int(line.split()[0]) + int(line.split()[1]) for line in said)
    yield ["agent's part of the binary", f"{size / 1000:.1f} kB", "<= 40 kB", verdict(size <= 40_000)]


def shell_row(folder: Path, commands: int) -> Row:
    """Commands through the bare shell, with the kernel talking into everything."""
    from sampan.serial.console import Console
    from sampan.serial.log import LineLog
    from sampan.serial.ports import open_port
    from sampan.serial.session import Session

    board = PacedBoard("115200,printk=25/s", folder)

    async def work() -> tuple[int, int, int]:
        console = Console(open_port(f"unix://{board.path}"), LineLog(None))
        console.start()
        session = Session(console, quiet_kernel=False)
        # No login: with so many messages no silence tells that a prompt is there, and there is one.
        right = wrong = refused = 0
        for number in range(commands):
            try:
                said = await session.run(f"seq {number} {number + 3}; exit {number % 7}")
            except Exception:
                refused += 1
                continue
            good = said.status == number % 7 and said.output == "".join(f"{number + i}\n" for i in range(4))
            right, wrong = right + good, wrong + (not good)
        console.close()
        return right, wrong, refused

    right, wrong, refused = asyncio.run(work())
    board.close()
    seen = f"{right} right, {refused} refused, {wrong} wrong"
    return [f"{commands} commands by the bare shell, 25 printk/s", seen, "none wrong", verdict(not wrong)]
