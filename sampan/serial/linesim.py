"""A serial line that is as slow and as faulty as a real one, in virtual time.

QEMU's UARTs are infinitely fast and never lose a byte, which hides what breaks real boards. This
model has the pace of a wire, flipped and lost bytes, bursts, kernel messages in the middle of
everything and a USB adapter's batches. It does no input or output and knows no clock but the one
it is given, so a test sends 100 MB in seconds and gets the same faults each time:

    line = Line(LineSpec.parse("115200,ber=1e-5,printk=5/s"), now=0.0)
    line.board.write(b"hello")            # -> 5, the bytes the driver took
    line.advance(line.next_event() or 0)  # virtual time goes on
    line.host.read()                      # what has arrived by now

The same bytes written at the same times arrive the same, however finely time is advanced
between them. `linerun` puts the model between two file descriptors in real time.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from sampan.serial.linespec import USB_PACKET, LineSpec, PipeSpec

_NEVER = math.inf
_SLACK = 1e-7  #: of a byte: a byte that ends exactly now has ended, rounding or not
_MESSAGES = (
    "usb 1-1: new high-speed USB device number {n} using xhci_hcd",
    "eth0: link up, 100Mbps, full-duplex, lpa 0x45E1",
    "EXT4-fs (vda): error count since last fsck: {n}",
    "random: crng reseeded on system resumption",
    'audit: type=1400 audit({n}.123:17): apparmor="DENIED" operation="open" name="/proc/{n}/mem"',
)


@dataclass
class Counters:
    """What a pipe did, in bytes."""

    sent: int = 0  #: that left the sender
    noise: int = 0  #: of messages put in between
    flipped: int = 0
    lost: int = 0  #: by drops, bursts and dead times
    overrun: int = 0  #: lost because the receiver's FIFO was full
    delivered: int = 0  #: put before the receiver


class Pipe:
    """One direction. Times are seconds of the virtual clock and must not go back."""

    def __init__(self, spec: PipeSpec, seed: str = "0", now: float = 0.0) -> None:
        self.spec = spec
        self.now = now
        self.counters = Counters()
        self._faults = _Faults(spec, seed, now)
        self._pace = spec.byte_seconds
        self._queue: deque[bytes] = deque()  #: to be sent, noise included
        self._held = 0  #: bytes of it
        self._anchor = now  #: when the wire began to be busy
        self._since = 0  #: bytes sent since then
        self._packet = bytearray()  #: in the USB adapter
        self._packet_began = 0.0
        self._under_way: deque[tuple[float, bytes]] = deque()  #: (arrival, bytes), with a delay only
        self._inbox = bytearray()

    @property
    def room(self) -> int:
        """Bytes the sender's driver would take now; as a tty's, it waits until an eighth of its buffer is free."""
        free = self.spec.buffer - self._held
        return free if free * 8 >= self.spec.buffer else 0

    @property
    def waiting(self) -> int:
        """Bytes that have arrived and were not read."""
        return len(self._inbox)

    @property
    def idle(self) -> bool:
        """Nothing is queued, under way or unread."""
        return not (self._queue or self._packet or self._under_way or self._inbox)

    def write(self, data: bytes, *, waited: bool = False) -> int:
        """Give the driver bytes to send; how many it took.

        `waited`: they were there before there was room, so the wire did not pause since its last byte.
        """
        taken = bytes(data[: self.room])
        if taken:
            self._enqueue(self._faults.spliced(taken, self.now), waited=waited)
        return len(taken)

    def inject(self, data: bytes) -> None:
        """Put bytes before all that is not sent yet: a human's key, a message of the kernel."""
        if data:
            self.counters.noise += len(data)
            self._enqueue([bytes(data)], first=True)

    def cut(self, seconds: float) -> None:
        """Lose everything that is on the wire from now on for `seconds`."""
        self._faults.dead_until = max(self._faults.dead_until, self.now + seconds)

    def discard(self) -> int:
        """Forget what the sender queued (its board was reset); how many bytes."""
        lost, self._held = self._held, 0
        self._queue.clear()
        return lost

    def read(self, limit: int = -1) -> bytes:
        """Take what has arrived by now."""
        data = bytes(self._inbox if limit < 0 else self._inbox[:limit])
        del self._inbox[: len(data)]
        return data

    def advance(self, now: float) -> None:
        """Let virtual time go on to `now`."""
        while (moment := self._faults.next_event()) <= now:
            self._send_until(moment)
            message = self._faults.happen(moment)
            if message:
                self.inject(message)
        self._send_until(now)
        self._hand_over(now)

    def next_event(self) -> float | None:
        """The next moment at which more may be read or a written piece has left; None: nothing is under way."""
        moments = [self._under_way[0][0]] if self._under_way else []
        if self._queue:
            moments.append(self._anchor + (self._since + len(self._queue[0])) * self._pace)
        if self._packet:
            moments.append(self._packet_began + self.spec.latency)
        if self.spec.printk:
            moments.append(self._faults.next_printk)
        return max(self.now, min(moments)) if moments else None

    def _enqueue(self, pieces: list[bytes], *, first: bool = False, waited: bool = False) -> None:
        if not self._queue and not waited:
            self._anchor, self._since = max(self.now, self._wire_free()), 0
        if first:
            self._queue.extendleft(reversed(pieces))
        else:
            self._queue.extend(pieces)
        self._held += sum(map(len, pieces))
        if not self._pace:
            self._send_until(self.now)
            self._hand_over(self.now)

    def _wire_free(self) -> float:
        """When the last byte that was sent had left the wire."""
        return self._anchor + self._since * self._pace

    def _send_until(self, now: float) -> None:
        """Move what leaves the wire by `now` through the faults."""
        self.now = max(self.now, now)
        if not self._queue:
            return
        ready = self._held
        if self._pace:
            ready = min(ready, int((self.now - self._anchor) / self._pace + _SLACK) - self._since)
        while ready > 0:
            piece = self._queue.popleft()
            if len(piece) > ready:
                self._queue.appendleft(piece[ready:])
                piece = piece[:ready]
            began = self._wire_free() if self._pace else self.now
            ready -= len(piece)
            self._held -= len(piece)
            self._since += len(piece)
            self.counters.sent += len(piece)
            for offset, run in self._faults.survivors(piece, began, self._pace, self.counters):
                self._receive(run, began + (offset + 1) * self._pace)

    def _receive(self, run: bytes, first: float) -> None:
        """`run` leaves the wire, its first byte at time `first`."""
        if not self.spec.latency:
            self._arrive(run, first + (len(run) - 1) * self._pace)
            return
        position = 0
        while position < len(run):
            moment = first + position * self._pace
            self._flush_packet(moment)
            if not self._packet:
                self._packet_began = moment
            # All that fits and comes before the adapter's timer runs out.
            count = USB_PACKET - len(self._packet)
            if self._pace:
                count = min(count, 1 + int((self._packet_began + self.spec.latency - moment) / self._pace))
            self._packet += run[position : position + count]
            position += count
            if len(self._packet) >= USB_PACKET:
                full = bytes(self._packet)
                self._packet.clear()
                self._arrive(full, first + (min(position, len(run)) - 1) * self._pace)

    def _flush_packet(self, now: float) -> None:
        ends = self._packet_began + self.spec.latency
        if self._packet and ends <= now:
            data = bytes(self._packet)
            self._packet.clear()
            self._arrive(data, ends)

    def _arrive(self, data: bytes, moment: float) -> None:
        if self.spec.delay:
            self._under_way.append((moment + self.spec.delay, data))
        else:
            self._put(data)

    def _hand_over(self, now: float) -> None:
        self._flush_packet(now)
        while self._under_way and self._under_way[0][0] <= now + self._pace * _SLACK:
            self._put(self._under_way.popleft()[1])

    def _put(self, data: bytes) -> None:
        if self.spec.fifo:
            fits = max(0, self.spec.fifo - len(self._inbox))
            self.counters.overrun += max(0, len(data) - fits)
            data = data[:fits]
        self.counters.delivered += len(data)
        self._inbox += data


class _Faults:
    """All chance of one direction: when it strikes, and what is left of the bytes.

    Each kind has a generator of its own, so that one more fault does not move the others.
    """

    def __init__(self, spec: PipeSpec, seed: str, now: float) -> None:
        self._spec = spec
        self._chance = {kind: random.Random(f"{seed} {kind}") for kind in ("flip", "drop", "burst", "dead", "printk")}
        self._splices = random.Random(f"{seed} splice")
        self._to_flip = self._distance("flip", spec.flip)
        self._to_drop = self._distance("drop", spec.drop)
        self._burst_left = 0
        self._burst_ends = -_NEVER
        self.dead_until = -_NEVER
        self._messages = 0
        self._next_burst = now + self._gap("burst", 1 / spec.burst_every if spec.burst and spec.burst_every else 0)
        self._next_dead = now + self._gap("dead", 1 / spec.dead_every if spec.dead and spec.dead_every else 0)
        self.next_printk = now + self._gap("printk", spec.printk)

    def _distance(self, kind: str, probability: float) -> int:
        """Bytes that are spared before the next one that is hit."""
        if probability <= 0:
            return 1 << 62
        if probability >= 1:
            return 0
        return int(math.log(1.0 - self._chance[kind].random()) / math.log1p(-probability))

    def _gap(self, kind: str, rate: float) -> float:
        return self._chance[kind].expovariate(rate) if rate > 0 else _NEVER

    def next_event(self) -> float:
        return min(self._next_burst, self._next_dead, self.next_printk)

    def happen(self, moment: float) -> bytes:
        """What strikes at `moment`; the kernel's message when it is one."""
        if self._next_burst <= moment:
            # What an overrun would have taken from a line that is idle is lost to nobody.
            self._burst_left = self._spec.burst
            self._burst_ends = moment + (self._spec.burst - 1 + _SLACK) * self._spec.byte_seconds
            self._next_burst += self._gap("burst", 1 / self._spec.burst_every)
        if self._next_dead <= moment:
            self.dead_until = max(self.dead_until, moment + self._spec.dead)
            self._next_dead += self._gap("dead", 1 / self._spec.dead_every)
        if self.next_printk <= moment:
            self.next_printk += self._gap("printk", self._spec.printk)
            return self.message(moment)
        return b""

    def message(self, moment: float) -> bytes:
        """A line as the kernel's console driver prints it."""
        self._messages += 1
        text = _MESSAGES[self._messages % len(_MESSAGES)].format(n=self._messages)
        return f"[{max(0.0, moment):12.6f}] {text}\r\n".encode()

    def spliced(self, piece: bytes, moment: float) -> list[bytes]:
        """A written piece, with a message of the kernel inside when chance wills it."""
        if self._spec.splice <= 0 or len(piece) < 2 or self._splices.random() >= self._spec.splice:
            return [piece]
        at = self._splices.randrange(1, len(piece))
        return [piece[:at], self.message(moment), piece[at:]]

    def survivors(self, piece: bytes, began: float, pace: float, counters: Counters) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of what is not lost, with its bits flipped; `began` is when the piece went on the wire."""
        start = 0
        if began < self.dead_until:
            start = min(len(piece), math.ceil((self.dead_until - began) / pace)) if pace else len(piece)
        if self._burst_left:
            reach = math.floor((self._burst_ends - began) / pace) + 1 if pace else self._burst_left
            swallowed = max(0, min(self._burst_left, len(piece) - start, reach))
            self._burst_left -= swallowed
            start += swallowed
        counters.lost += start
        piece = self._flipped(piece, counters)
        while self._to_drop < len(piece):
            at = self._to_drop
            self._to_drop += 1 + self._distance("drop", self._spec.drop)
            if at < start:
                continue  # it is lost already
            if at > start:
                yield start, piece[start:at]
            counters.lost += 1
            start = at + 1
        self._to_drop -= len(piece)
        if start < len(piece):
            yield start, piece[start:]

    def _flipped(self, piece: bytes, counters: Counters) -> bytes:
        if self._to_flip >= len(piece):
            self._to_flip -= len(piece)
            return piece
        changed = bytearray(piece)
        while self._to_flip < len(piece):
            changed[self._to_flip] ^= 1 << self._chance["flip"].randrange(8)
            counters.flipped += 1
            self._to_flip += 1 + self._distance("flip", self._spec.flip)
        self._to_flip -= len(piece)
        return bytes(changed)


class End:
    """What the program at one end of a line sees: a file to write to and to read from."""

    def __init__(self, out: Pipe, into: Pipe) -> None:
        self._out = out
        self._into = into

    @property
    def room(self) -> int:
        """Bytes that write() would take now."""
        return self._out.room

    def write(self, data: bytes) -> int:
        """Send bytes; how many the driver took."""
        return self._out.write(data)

    def read(self, limit: int = -1) -> bytes:
        """What has arrived by now."""
        return self._into.read(limit)


class Line:
    """Both directions of a line on one virtual clock."""

    def __init__(self, spec: LineSpec | None = None, now: float = 0.0) -> None:
        self.spec = spec or LineSpec()
        self.to_host = Pipe(self.spec.to_host, f"{self.spec.seed} to the host", now)
        self.to_board = Pipe(self.spec.to_board, f"{self.spec.seed} to the board", now)
        self.host = End(self.to_board, self.to_host)
        self.board = End(self.to_host, self.to_board)

    @property
    def now(self) -> float:
        return self.to_host.now

    def advance(self, now: float) -> None:
        """Let virtual time go on to `now` in both directions."""
        self.to_host.advance(now)
        self.to_board.advance(now)

    def next_event(self) -> float | None:
        """The next moment at which something may be read or written; None when all is still."""
        moments = [moment for pipe in (self.to_host, self.to_board) if (moment := pipe.next_event()) is not None]
        return min(moments, default=None)
