"""The bars of the serial line: `PYTHONPATH=.:tests/support python tests/bench/line.py [GROUP...]` prints the table.

The link's rows run in virtual time, with the host's Python at one end and the agent's C code at the other,
so they say the same on a busy machine. The others pace a real line with the same model in real time: run them alone.
Needs gcc; lrzsz for the modem protocols; labgrid's own environment is made below build/ (PyPI).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pty
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pty_board import Board
from serial_pair import FULL, AgentEnd, Pair, PythonEnd, agent_library, noise

from sampan.cli.table import print_table
from sampan.control.remote import Target
from sampan.control.target import resolve
from sampan.core.paths import ROOT, build_dir
from sampan.serial.linerun import LineRunner
from sampan.serial.linespec import LineSpec

Row = list[str]
CLEAN = "115200"
LABGRID = "labgrid==26.0.1"
MIXED = "115200,flip=2e-5,drop=1e-5,burst=16/10s,dead=300ms/60s,printk=1/10s,latency=4ms"

#: What, line, bytes, bar as a share of the line (down and up; None: no bar), or of the clean rate ("c").
LINK: list[tuple[str, str, int, float, str]] = [
    ("incompressible data, COBS", CLEAN, 1_000_000, 0.93, ""),
    ("16 ms USB adapter", "115200,latency=16ms", 500_000, 0.90, ""),
    ("flips 1e-4", "115200,flip=1e-4", 1_000_000, 0.90, "c"),
    ("flips 1e-3", "115200,flip=1e-3", 200_000, 0.50, "c"),
    ("flips 1e-2", "115200,flip=1e-2", 20_000, 0.0, ""),
    ("losses 1e-3", "115200,drop=1e-3", 200_000, 0.0, ""),
    ("bursts of 64 bytes a second", "115200,burst=64/s", 200_000, 0.0, ""),
    ("printk 100/s", "115200,printk=100/s", 20_000, 0.0, ""),
    ("2 s of silence every 10 s", "115200,dead=2s/10s", 200_000, 0.0, ""),
]


def share(value: float) -> str:
    return f"{value:.1%}"


def verdict(good: bool) -> str:
    return "" if good else "MISSED"


# ---- in virtual time


def pair(library: ctypes.CDLL, spec: str, down: bytes = b"", up: bytes = b"") -> Pair:
    return Pair(spec, PythonEnd("host", down), AgentEnd(library, up))


def link_rows(library: ctypes.CDLL) -> Iterator[Row]:
    clean: dict[str, float] = {}
    for what, spec, size, bar, of in LINK:
        for way in ("down", "up"):
            rate = pair(library, spec, **{way: noise(size)}).rate(20_000) / FULL
            clean.setdefault(way, rate)
            seen = rate / clean[way] if of else rate
            wanted = f">= {bar:.0%}{' of clean' if of else ''}" if bar else "exact"
            yield [f"{what}, {way}", f"{share(rate)} of the line", wanted, verdict(seen >= bar)]
    rate = pair(library, "115200,splice=0.5", noise(500_000)).rate() / FULL
    yield ["half of the acknowledgements cut by printk", share(rate), ">= 90%", verdict(rate >= 0.9)]
    for way in ("down", "up"):
        line = pair(library, CLEAN, **{way: noise(300_000)})
        for port in (line.line.board, line.line.host):
            real = port.read
            port.read = lambda limit=-1, real=real: bytes(byte & 127 for byte in real(limit))  # type: ignore[method-assign]
        rate = line.rate() / FULL
        yield [f"text (a path of 7 bits), {way}", share(rate), ">= 68%", verdict(rate >= 0.68)]
    yield return_row(library)
    yield reset_row(library)
    yield stale_row(library)
    yield typing_row(library)


def reset_row(library: ctypes.CDLL) -> Row:
    """The board is reset in mid-frame, its boot loader speaks, and a new agent meets the host's next session."""
    worst, good = 0.0, True
    for number in range(40):
        line = pair(library, CLEAN, up=noise(60_000))
        line.run(1 + number * 0.037)
        before = len(line.host.got)
        line.line.to_host.discard()
        line.line.to_host.inject(b"\r\n\r\nU-Boot 2023.01\r\n\xff\x00\r\nlogin: ")
        line.target, since = AgentEnd(library, noise(20_000, 9)), line.now
        good = good and noise(60_000).startswith(bytes(line.host.got)) and before > 0
        line.host.got.clear()
        line.host.link.open(line.now)
        while not line.host.got:
            line.step()
        worst = max(worst, line.now - since)
        good = good and line.run(60) and bytes(line.host.got) == noise(20_000, 9)
    return _trouble("reset in mid-frame", worst, good)


def stale_row(library: ctypes.CDLL) -> Row:
    """A host is killed in mid-frame; what it left on the line and in the agent does nothing in the next session."""
    worst, good = 0.0, True
    for number in range(40):
        line = pair(library, CLEAN, down=noise(60_000))
        line.run(1 + number * 0.037)
        line.host, since = PythonEnd("host", noise(5_000, 4)), line.now
        line.host.link.open(line.now)
        while line.target.opened < 2:  # type: ignore[attr-defined]
            line.step()
        good = good and noise(60_000).startswith(bytes(line.target.got))
        line.target.got.clear()
        while not line.target.got:
            line.step()
        worst = max(worst, line.now - since)
        good = good and line.run(60) and line.exact()
    return _trouble("stale bytes of an earlier client", worst, good)


def typing_row(library: ctypes.CDLL) -> Row:
    keys = [b"ls\r", b"\x03", b"#~", b"q", b"\0", b"\x15", b"\x1b[A"]
    line, chance, next_key = pair(library, CLEAN, noise(100_000, 1)), random.Random(3), 0.0
    while len(line.target.got) < 100_000:
        line.step()
        if line.now >= next_key:
            line.line.to_board.inject(chance.choice(keys))
            next_key = line.now + chance.uniform(0, 0.25)
    rate = 100_000 / line.now / FULL
    return ["a human typing 8 keys a second", f"{share(rate)} of the line", "exact", verdict(line.exact())]


def _trouble(what: str, worst: float, good: bool) -> Row:
    said = f"{worst * 1000:.0f} ms{'' if good else ', WRONG bytes'}"
    return [f"{what}, data again, worst of 40", said, "<= 500 ms, exact", verdict(good and worst <= 0.5)]


def return_row(library: ctypes.CDLL) -> Row:
    """How long after a silence of 2 s both sides get data again, at 40 moments; the worst."""
    worst = 0.0
    for number in range(40):
        line = pair(library, CLEAN, noise(80_000, 1), noise(80_000, 2))
        line.run(1 + number * 0.037)
        line.line.to_host.cut(2.0)
        line.line.to_board.cut(2.0)
        line.run(2.0)
        before, since = (len(line.host.got), len(line.target.got)), line.now
        while len(line.host.got) == before[0] or len(line.target.got) == before[1]:
            line.step()
        worst = max(worst, line.now - since)
    return [
        "data again after 2 s of silence, worst of 40",
        f"{worst * 1000:.0f} ms",
        "<= 500 ms",
        verdict(worst <= 0.5),
    ]


def hundred_row(library: ctypes.CDLL, megabytes: int) -> Row:
    """Both ways, half each, in sessions of 1 MB on one line whose faults go on."""
    began, sent, virtual = time.process_time(), 0, 0.0
    good = True
    for number in range(megabytes):
        down, up = noise(500_000, number), noise(500_000, -number - 1)
        line = pair(library, f"{MIXED},seed={number}", down, up)
        line.connect()
        good = good and line.run(3600) and line.exact()
        sent += len(down) + len(up)
        virtual += line.now
    seconds = time.process_time() - began
    said = f"{'bit-identical' if good else 'WRONG'}, {virtual / 3600:.1f} h in {seconds:.0f} s CPU"
    return [f"{sent // 1_000_000} MB under mixed faults", said, "bit-identical", verdict(good)]


# ---- in real time


class PacedLine:
    """A pty pair with the simulated line between: programs at `host` and `board` have ttys."""

    def __init__(self, spec: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._fds: list[int] = []
        self.host, host = self._end()
        self.board, board = self._end()
        self._runner = LineRunner(LineSpec.parse(spec))
        self._loop.call_soon_threadsafe(self._runner.start, host, board)

    def _end(self) -> tuple[str, socket.socket]:
        """A raw tty, and a socket that carries what is written there."""
        master, slave = pty.openpty()
        tty.setraw(slave, termios.TCSANOW)
        ours, theirs = socket.socketpair()
        self._fds += [master, slave]
        threading.Thread(target=_copy, args=(lambda: os.read(master, 4096), ours.sendall), daemon=True).start()
        threading.Thread(
            target=_copy, args=(lambda: ours.recv(4096), lambda data: os.write(master, data)), daemon=True
        ).start()
        return os.ttyname(slave), theirs

    def close(self) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (self._runner.close(), self._loop.stop(), done.set()))
        done.wait(5)


def _copy(read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    with contextlib.suppress(OSError):
        while data := read():
            write(data)


def modem_row(name: str, send: list[str], receive: list[str], size: int, ours: float) -> Row:
    """lrzsz's programs at both ends; `ours` is our own share of the line."""
    if not shutil.which(send[0]):
        return [name, "-", "", f"no {send[0]} here (lrzsz)"]
    line = PacedLine(CLEAN)
    with tempfile.TemporaryDirectory() as folder:
        data = noise(size)
        Path(folder, "file").write_bytes(data)
        Path(folder, "in").mkdir()
        ends = [os.open(path, os.O_RDWR | os.O_NOCTTY) for path in (line.board, line.host)]
        quiet = {"stderr": subprocess.DEVNULL}
        began = time.monotonic()
        there = subprocess.Popen(receive, stdin=ends[0], stdout=ends[0], cwd=f"{folder}/in", **quiet)  # type: ignore[call-overload]
        here = subprocess.Popen([*send, "file"], stdin=ends[1], stdout=ends[1], cwd=folder, **quiet)  # type: ignore[call-overload]
        got = Path(folder, "in", "file")
        # To the file's last byte: how the programs part afterwards is not counted.
        while not (got.exists() and got.stat().st_size >= size and got.read_bytes()[:size] == data):
            if time.monotonic() - began > 150:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - began
        for program in (here, there):
            program.kill()
            program.wait()
        line.close()
        exact = got.exists() and got.read_bytes()[:size] == data
    rate = size / seconds / FULL if exact else 0.0
    return [name, share(rate) if exact else "failed", f"less than our {share(ours)}", verdict(rate < ours)]


class PacedBoard:
    """A board's shell behind the simulated line, at a socket that `sampan on` opens."""

    def __init__(self, spec: str, folder: Path) -> None:
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
        self._board = Board(folder, build_dir() / "arch" / os.uname().machine / "sampan")
        self.path = f"{folder}/paced"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen(1)
        self._spec = LineSpec.parse(spec)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        threading.Thread(target=self._serve, daemon=True).start()
        self.target = Target(replace(resolve(f"unix://{self.path}"), target="bench"))

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._server.accept()[0]
                inner = socket.socket(socket.AF_UNIX)
                inner.connect(self._board.url.removeprefix("unix://"))
                self._loop.call_soon_threadsafe(LineRunner(self._spec).start, client, inner)

    def close(self) -> None:
        self._board.close()
        self._server.close()


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


def labgrid_row(size: int, ours: float) -> Row:
    """labgrid's put (XMODEM by its ShellDriver) on the same line."""
    python = build_dir() / "bench-labgrid" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", build_dir() / "bench-labgrid"], check=True)
        subprocess.run([python, "-m", "pip", "-q", "install", LABGRID], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "file").write_bytes(noise(size))
        line = PacedLine(CLEAN)
        end = os.open(line.board, os.O_RDWR | os.O_NOCTTY)
        subprocess.run(["stty", "sane"], stdin=end, check=True)
        shell = subprocess.Popen(
            ["setsid", "-c", "sh", "-i"], stdin=end, stdout=end, stderr=end, env=os.environ | {"PS1": "board# "}
        )
        script = ROOT / "tests" / "bench" / "labgrid_put.py"
        command = [python, script, line.host, folder / "file", folder / "there"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
            said = done.stdout.strip().splitlines() if done.returncode == 0 else []
        except subprocess.TimeoutExpired:
            said = []
        shell.kill()
        shell.wait()
        line.close()
        there = folder / "there"
        exact = there.exists() and there.read_bytes() == noise(size)
    good = said and exact
    rate = size / float(said[-1]) / FULL if good else 0.0
    return ["labgrid put", share(rate) if good else "failed", f"less than our {share(ours)}", verdict(rate < ours)]


def rows(words: list[str]) -> Iterator[Row]:
    """Groups by name: link, hundred, modem, labgrid, session, shell; all without one."""
    chosen = words or ["link", "modem", "labgrid", "session", "shell", "hundred"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = agent_library(folder)
        ours = pair(library, CLEAN, noise(300_000)).rate() / FULL
        for word in chosen:
            group = folder / word
            group.mkdir()
            if word == "link":
                yield from link_rows(library)
            elif word == "hundred":
                yield hundred_row(library, 100)
            elif word == "modem":
                yield modem_row("YMODEM-1K (lrzsz)", ["sb", "-k"], ["rb"], 300_000, ours)
                yield modem_row("ZMODEM (lrzsz)", ["sz"], ["rz"], 300_000, ours)
            elif word == "labgrid":
                yield labgrid_row(40_000, ours)
            elif word == "session":
                yield from session_rows(group)
            elif word == "shell":
                yield shell_row(group, 1000)


def main() -> None:
    found = []
    for row in rows(sys.argv[1:]):
        print("  ".join(row), file=sys.stderr, flush=True)
        found.append(row)
    print_table(["what", "seen", "bar", ""], found)


if __name__ == "__main__":
    main()
