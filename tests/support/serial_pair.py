"""Two ends of the serial protocol on a simulated line, in virtual time: both of Python, or the target's of C."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from sampan.core.paths import ROOT
from sampan.serial.linesim import Line
from sampan.serial.linespec import LineSpec
from sampan.serial.link import Data, Event, Link, Up

STEP = 0.001  #: virtual seconds between two looks, as a driver's interrupts cut a stream
FULL = 11520.0  #: bytes a second of 115200 8N1
_OUT = 1872  #: bytes that the agent has ready for its tty


class End(Protocol):
    """One end that sends given bytes and collects what arrives."""

    data: bytes
    got: bytearray
    pending: bytes

    @property
    def connected(self) -> bool: ...

    def receive(self, data: bytes, now: float) -> None: ...

    def transmit(self, now: float) -> bytes: ...

    def wake(self, now: float) -> float: ...


class PythonEnd:
    """sampan.serial.link in either role."""

    def __init__(self, role: str, data: bytes = b"") -> None:
        self.link = Link("host" if role == "host" else "target", self._source, 0.0, about="sampan")
        self.data = data
        self.at = 0
        self.got = bytearray()
        self.events: list[Event] = []
        self.pending = b""

    def _source(self, room: int, bulk: bool) -> tuple[int, bytes] | None:
        if not bulk or self.at >= len(self.data):
            return None
        piece = self.data[self.at : self.at + room]
        self.at += len(piece)
        return 1, piece

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Data):
                self.got += event.payload
            else:
                self.events.append(event)

    def receive(self, data: bytes, now: float) -> None:
        self.take(self.link.receive(data, now))

    def transmit(self, now: float) -> bytes:
        return self.link.transmit(now)

    def wake(self, now: float) -> float:
        return self.link.wake()

    @property
    def connected(self) -> bool:
        return bool(self.ups)

    @property
    def ups(self) -> list[Up]:
        return [event for event in self.events if isinstance(event, Up)]


class AgentEnd:
    """The agent's own link.c and frame.c. There is one in a process: the newest."""

    def __init__(self, library: ctypes.CDLL, data: bytes = b"") -> None:
        self._c = library
        self.data = data
        self.got = bytearray()
        self.pending = b""
        self._line = ctypes.create_string_buffer(4096)
        self._taken = ctypes.create_string_buffer(1 << 16)
        library.end_begin(0)
        self._held = ctypes.create_string_buffer(data, max(1, len(data)))
        library.end_send(self._held, ctypes.c_size_t(len(data)))

    @staticmethod
    def _ms(now: float) -> ctypes.c_uint32:
        return ctypes.c_uint32(int(now * 1000 + 1e-6))

    def receive(self, data: bytes, now: float) -> None:
        for at in range(0, len(data), 1024):
            piece = data[at : at + 1024]
            self._c.link_receive(piece, ctypes.c_size_t(len(piece)), self._ms(now))
            while count := self._c.end_take(self._taken, ctypes.c_size_t(len(self._taken))):
                self.got += self._taken.raw[:count]

    def transmit(self, now: float) -> bytes:
        out = b""
        while len(self.pending) + len(out) < _OUT:
            count = self._c.link_transmit(self._line, self._ms(now))
            if count == 0:
                break
            out += self._line.raw[:count]
        return out

    def wake(self, now: float) -> float:
        if self.pending:
            return now + 0.1  # poll() waits for the tty
        return (int(now * 1000 + 1e-6) + int(self._c.link_wait(self._ms(now)))) / 1000 + 1e-6

    @property
    def connected(self) -> bool:
        return bool(self._c.end_opened())

    @property
    def opened(self) -> int:
        """How many sessions it has seen."""
        return int(self._c.end_opened())


def agent_library(folder: Path) -> ctypes.CDLL:
    """The agent's link as a shared library."""
    compiler = shutil.which("gcc")
    command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc"]
    out, source = folder / "agent_end.so", ROOT / "runtime" / "src"
    files = [ROOT / "tests/support/agent_end.c", *(source / name for name in ("link.c", "link_pace.c", "frame.c"))]
    subprocess.run(
        [*command, "-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", f"-I{source}", *files, "-o", out],
        check=True,
    )
    return ctypes.CDLL(str(out))


class Pair:
    """A host and a target on a line."""

    def __init__(self, spec: str, host: PythonEnd, target: End) -> None:
        self.line = Line(LineSpec.parse(spec))
        self.host, self.target = host, target
        self.now = 0.0
        self.stalled = False  #: one end does not read
        self.host.link.open(0.0)

    def step(self) -> None:
        ends: tuple[tuple[End, object], ...] = ((self.host, self.line.host), (self.target, self.line.board))
        for end, port in ends:
            data = port.read()  # type: ignore[attr-defined]
            if data:
                end.receive(data, self.now)
            end.pending += end.transmit(self.now)
            end.pending = end.pending[port.write(end.pending) :]  # type: ignore[attr-defined]
        wakes = [self.host.wake(self.now), self.target.wake(self.now)]
        pipes = (self.line.to_host, self.line.to_board)
        if any(not pipe.idle for pipe in pipes):
            wakes.append(self.now + (1e-5 if not self.stalled and any(pipe.waiting for pipe in pipes) else STEP))
        self.now = max(min(*wakes, self.now + 0.1), self.now + 1e-6)
        self.line.advance(self.now)

    def run(self, seconds: float) -> bool:
        """Until all has arrived: true; false when virtual time is over."""
        end = self.now + seconds
        while self.now < end:
            if len(self.host.got) == len(self.target.data) and len(self.target.got) == len(self.host.data):
                return True
            self.step()
        return False

    def connect(self, seconds: float = 60) -> None:
        """Until the session stands."""
        end = self.now + seconds
        while not (self.host.connected and self.target.connected):
            self.step()
            assert self.now < end, "no session"

    def exact(self) -> bool:
        """Did both get the very bytes?"""
        return bytes(self.target.got) == self.host.data and bytes(self.host.got) == self.target.data

    def rate(self, seconds: float = 600) -> float:
        """Bytes a second of a transfer that must be exact, after the session stands."""
        self.connect()
        began = self.now
        assert self.run(seconds)
        assert self.exact()
        return (len(self.host.data) + len(self.target.data)) / (self.now - began)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def python_pair(spec: str, down: bytes = b"", up: bytes = b"") -> Pair:
    """Both ends of Python."""
    return Pair(spec, PythonEnd("host", down), PythonEnd("target", up))


def agent_pair(library: ctypes.CDLL, spec: str, down: bytes = b"", up: bytes = b"") -> Pair:
    """The host's Python and the agent's C code; `down` goes to the target, `up` to the host."""
    return Pair(spec, PythonEnd("host", down), AgentEnd(library, up))
