"""Groups link and hundred: the host's Python and the agent's C code at a simulated line, in virtual time."""

from __future__ import annotations

import ctypes
import random
import time
from collections.abc import Iterator

from line_rows import CLEAN, Row, share, verdict
from serial_pair import FULL, AgentEnd, PythonEnd, agent_pair, noise

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


def link_rows(library: ctypes.CDLL) -> Iterator[Row]:
    clean: dict[str, float] = {}
    for what, spec, size, bar, of in LINK:
        for way in ("down", "up"):
            rate = agent_pair(library, spec, **{way: noise(size)}).rate(20_000) / FULL
            clean.setdefault(way, rate)
            seen = rate / clean[way] if of else rate
            wanted = f">= {bar:.0%}{' of clean' if of else ''}" if bar else "exact"
            yield [f"{what}, {way}", f"{share(rate)} of the line", wanted, verdict(seen >= bar)]
    rate = agent_pair(library, "115200,splice=0.5", noise(500_000)).rate() / FULL
    yield ["half of the acknowledgements cut by printk", share(rate), ">= 90%", verdict(rate >= 0.9)]
    for way in ("down", "up"):
        line = agent_pair(library, CLEAN, **{way: noise(300_000)})
        for port in (line.line.board, line.line.host):
            real = port.read
            port.read = lambda limit=-1, real=real: bytes(byte & 127 for byte in real(limit))  # type: ignore[method-assign]
        rate = line.rate() / FULL
        yield [f"text (a path of 7 bits), {way}", share(rate), ">= 68%", verdict(rate >= 0.68)]
    yield return_row(library)
    yield reset_row(library)
    yield stale_row(library)
    yield typing_row(library)


def return_row(library: ctypes.CDLL) -> Row:
    """How long after a silence of 2 s both sides get data again, at 40 moments; the worst."""
    worst = 0.0
    for number in range(40):
        line = agent_pair(library, CLEAN, noise(80_000, 1), noise(80_000, 2))
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


def reset_row(library: ctypes.CDLL) -> Row:
    """The board is reset in mid-frame, its boot loader speaks, and a new agent meets the host's next session."""
    worst, good = 0.0, True
    for number in range(40):
        line = agent_pair(library, CLEAN, up=noise(60_000))
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
        line = agent_pair(library, CLEAN, down=noise(60_000))
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


def _trouble(what: str, worst: float, good: bool) -> Row:
    said = f"{worst * 1000:.0f} ms{'' if good else ', WRONG bytes'}"
    return [f"{what}, data again, worst of 40", said, "<= 500 ms, exact", verdict(good and worst <= 0.5)]


def typing_row(library: ctypes.CDLL) -> Row:
    keys = [b"ls\r", b"\x03", b"#~", b"q", b"\0", b"\x15", b"\x1b[A"]
    line, chance, next_key = agent_pair(library, CLEAN, noise(100_000, 1)), random.Random(3), 0.0
    while len(line.target.got) < 100_000:
        line.step()
        if line.now >= next_key:
            line.line.to_board.inject(chance.choice(keys))
            next_key = line.now + chance.uniform(0, 0.25)
    rate = 100_000 / line.now / FULL
    return ["a human typing 8 keys a second", f"{share(rate)} of the line", "exact", verdict(line.exact())]


def hundred_row(library: ctypes.CDLL, megabytes: int) -> Row:
    """Both ways, half each, in sessions of 1 MB on one line whose faults go on."""
    began, sent, virtual = time.process_time(), 0, 0.0
    good = True
    for number in range(megabytes):
        down, up = noise(500_000, number), noise(500_000, -number - 1)
        line = agent_pair(library, f"{MIXED},seed={number}", down, up)
        line.connect()
        good = good and line.run(3600) and line.exact()
        sent += len(down) + len(up)
        virtual += line.now
    seconds = time.process_time() - began
    said = f"{'bit-identical' if good else 'WRONG'}, {virtual / 3600:.1f} h in {seconds:.0f} s CPU"
    return [f"{sent // 1_000_000} MB under mixed faults", said, "bit-identical", verdict(good)]
