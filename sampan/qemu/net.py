"""Virtual switches between machines: no root, no bridge, no process of their own.

A switch is a folder with a datagram socket for every machine that is connected to it. What a machine
sends its keeper sends on to the others' sockets, later or not at all as its cable wills; a socket
that nobody reads any more is cleared away by the first who notices. QEMU has the other end of a
socket pair, so nothing of it is visible to other users or reaches the host's network.

    --net lab                                 a cable without faults to the switch "lab"
    --net lab,delay=5ms,loss=0.01,rate=10M    the cable of this machine
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import refuse_os_error

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
_LENGTH = 4  #: bytes of QEMU's length before each frame, big-endian
_FRAME_MAX = 65536 + 64
_WAITING = 512  #: frames under way on a cable; a switch drops what is more
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Cable:
    """A machine's cable to a switch, the same both ways."""

    switch: str
    delay: float = 0.0  #: seconds
    loss: float = 0.0  #: probability that a frame is lost
    rate: float = 0.0  #: bits a second; 0: no limit
    seed: int = 0  #: of the losses

    @classmethod
    def parse(cls, text: str) -> Cable:
        """The cable that `--net TEXT` describes. Raises SampanError for what it does not know."""
        name, *words = text.split(",")
        if not _NAME.match(name):
            raise SampanError(f"--net {text}: {name!r} is no name of a switch", code=EXIT_USAGE)
        cable = cls(name)
        for word in words:
            key, _, value = word.partition("=")
            if key not in _READERS:
                raise SampanError(f"--net: {key!r} is unknown", hint=did_you_mean(key, _READERS), code=EXIT_USAGE)
            try:
                cable = _READERS[key](cable, value)
            except ValueError:
                raise SampanError(f"--net: {word}: not such as {_SUCH_AS[key]}", code=EXIT_USAGE) from None
        return cable


def _delay(cable: Cable, text: str) -> Cable:
    match = re.fullmatch(r"([0-9.]+)(us|ms|s)", text)
    if match is None:
        raise ValueError(text)
    return replace(cable, delay=float(match[1]) / {"us": 1e6, "ms": 1e3, "s": 1.0}[match[2]])


def _loss(cable: Cable, text: str) -> Cable:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return replace(cable, loss=value)


def _rate(cable: Cable, text: str) -> Cable:
    match = re.fullmatch(r"([1-9][0-9]*)([KMG]?)", text)
    if match is None:
        raise ValueError(text)
    return replace(cable, rate=float(match[1]) * _UNITS[match[2]])


_READERS: dict[str, Callable[[Cable, str], Cable]] = {
    "delay": _delay,
    "loss": _loss,
    "rate": _rate,
    "seed": lambda cable, text: replace(cable, seed=int(text)),
}
_SUCH_AS = {"delay": "5ms", "loss": "0.01", "rate": "10M", "seed": "7"}


class Way:
    """One direction of a cable: when a frame arrives, or that it does not. Knows no clock of its own."""

    def __init__(self, cable: Cable, direction: str) -> None:
        self._cable = cable
        self._chance = random.Random(f"{cable.seed} {direction}")
        self._free = 0.0  #: when the wire has sent all it was given
        self._arrivals: list[float] = []

    def arrival(self, now: float, size: int) -> float | None:
        """When a frame of `size` bytes that is sent now has arrived; None when it is lost."""
        if self._cable.loss and self._chance.random() < self._cable.loss:
            return None
        self._arrivals = [moment for moment in self._arrivals if moment > now]
        if len(self._arrivals) >= _WAITING:
            return None
        sent = max(now, self._free) + (size * 8 / self._cable.rate if self._cable.rate else 0.0)
        self._free = sent
        if sent + self._cable.delay > now:
            self._arrivals.append(sent + self._cable.delay)
        return sent + self._cable.delay


class Plugged:
    """One machine's end at a switch: QEMU's frames to the others, theirs to QEMU. On a running loop."""

    def __init__(self, cable: Cable, folder: Path, ours: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._folder = folder / cable.switch
        self._path = self._folder / f"{os.getpid()}-{ours.fileno()}"
        self._ours = ours
        self._stream = bytearray()  #: of QEMU's frames
        self._to_qemu: list[bytes] = []
        self._out, self._into = Way(cable, "out"), Way(cable, "in")
        self._timers: set[asyncio.TimerHandle] = set()
        self._open = True
        ours.setblocking(False)
        self._switch = self._bind()
        self._loop.add_reader(ours.fileno(), self._from_qemu)
        self._loop.add_reader(self._switch.fileno(), self._from_switch)

    def _bind(self) -> socket.socket:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)  # of a killed process with our number
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.bind(str(self._path))
        except OSError as error:
            refuse_os_error(error, "make the socket", self._path)
        return sock

    def _later(self, way: Way, frame: bytes, do: Callable[[bytes], None]) -> None:
        now = self._loop.time()
        moment = way.arrival(now, len(frame))
        if moment is None:
            return
        if moment <= now:
            do(frame)
            return

        def arrive() -> None:
            self._timers.discard(timer)
            do(frame)

        timer = self._loop.call_at(moment, arrive)
        self._timers.add(timer)

    def _from_qemu(self) -> None:
        try:
            data = self._ours.recv(_FRAME_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._ours.fileno())
            return
        self._stream += data
        while len(self._stream) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._stream[:_LENGTH])
            if len(self._stream) < end:
                return
            self._later(self._out, bytes(self._stream[_LENGTH:end]), self._send)
            del self._stream[:end]

    def _send(self, frame: bytes) -> None:
        """To every other machine: a hub. Who cannot take it now does not get it, as on any switch."""
        for path in self._folder.iterdir():
            if path == self._path:
                continue
            try:
                self._switch.sendto(frame, str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)  # its owner was killed
            except OSError:
                continue

    def _from_switch(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._later(self._into, self._switch.recv(_FRAME_MAX), self._deliver)

    def _deliver(self, frame: bytes) -> None:
        if len(self._to_qemu) < _WAITING:
            self._to_qemu.append(len(frame).to_bytes(_LENGTH) + frame)
            self._drain()

    def _drain(self) -> None:
        while self._to_qemu:
            try:
                sent = self._ours.send(self._to_qemu[0])
            except BlockingIOError:
                self._loop.add_writer(self._ours.fileno(), self._drain)
                return
            except OSError:
                self._to_qemu.clear()  # QEMU has ended
                break
            if sent < len(self._to_qemu[0]):
                self._to_qemu[0] = self._to_qemu[0][sent:]
            else:
                self._to_qemu.pop(0)
        self._loop.remove_writer(self._ours.fileno())

    def close(self) -> None:
        """Pull the cable; harmless when repeated. The last machine takes the switch with it."""
        if not self._open:
            return
        self._open = False
        for timer in self._timers:
            timer.cancel()
        for sock in (self._ours, self._switch):
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()
