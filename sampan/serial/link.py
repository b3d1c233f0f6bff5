"""One end of a session over a line: frames in, frames out, exactly once and in order.

A pure state machine for both roles: bytes and the time are passed in, what to write and what
happened come out. The host opens a session, the target's agent answers. Everything that may be
lost is repeated; nothing waits without an end. The protocol is in docs/serial-protocol.md.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from sampan.serial.flight import STUBBORN, WINDOW_MAX, Flight, ahead
from sampan.serial.frames import (
    FROM_HOST,
    FROM_TARGET,
    MAX_PAYLOAD,
    NO_SESSION,
    Codec,
    Decoder,
    Found,
    Frame,
    Kind,
    encode,
    pack,
)

VERSION = 1
HEARTBEAT = 1.0  #: seconds of silence after which the host asks whether somebody is there
FLUSH = 0.05  #: seconds after which text that could belong to a frame is shown
_HELLO_EVERY = 0.25
_PROBES = 4
_PROBE_AGAIN = 3.0
_DOUBT = 3  #: unanswered PINGs, or frames that only passed as text: binary is not trusted any more
_ALL_BYTES = bytes(range(255, -1, -1))  #: XOFF before XON: a path that honours them goes on

Role = Literal["host", "target"]
#: Gives at most so many bytes to send: (channel byte, payload), or None. True: bulk data, too.
Source = Callable[[int, bool], tuple[int, bytes] | None]

_HELLO = struct.Struct("<2sBB8sHB")
_ANSWER = struct.Struct("<8s8s")


@dataclass(frozen=True)
class Peer:
    """What the other side said of itself. Ids are 0 for a host."""

    version: int
    boot: bytes = bytes(8)  #: changes with each boot of the target
    agent: bytes = bytes(8)  #: changes with each start of the agent
    about: str = ""


@dataclass(frozen=True)
class Up:
    """The session stands."""

    peer: Peer


@dataclass(frozen=True)
class Data:
    """A payload of a channel, in order."""

    channel: int
    payload: bytes


@dataclass(frozen=True)
class Text:
    """Bytes on the line that are no frame."""

    data: bytes


@dataclass(frozen=True)
class Left:
    """The other side has left on purpose."""


@dataclass(frozen=True)
class Taken:
    """The agent answered another host: its session is that one's now."""


@dataclass(frozen=True)
class Refused:
    """The agent speaks only other versions of the protocol."""

    lowest: int
    highest: int


Event = Up | Data | Text | Left | Taken | Refused


class Link:
    """`source` is asked for what to send whenever there is room."""

    def __init__(self, role: Role, source: Source, now: float, *, boot: bytes = bytes(8), about: str = "") -> None:
        self.role: Role = role
        self.session = NO_SESSION
        self.up = False
        self.codec: Codec = "text"
        self.interactive = False  #: somebody types: bulk data keeps the line short
        self.flight = Flight(now)
        self.heard_at = now  #: when the last frame of the other side came
        self._own, theirs = (FROM_HOST, FROM_TARGET) if role == "host" else (FROM_TARGET, FROM_HOST)
        self.decoder = Decoder(theirs)
        self._source = source
        self._boot, self._about, self._agent = boot, about, secrets.token_bytes(8)
        self._clock = now
        self._fed_at = now
        self._hello_at: float | None = None  #: when the host says HELLO next
        self._probe_at = now
        self._probes = 0
        self._out: list[bytes] = []
        self._reset(now)

    def _reset(self, now: float, window: int = WINDOW_MAX, payload: int = MAX_PAYLOAD) -> None:
        self.flight = Flight(now, window, payload)
        self.codec = "text"
        self._expected = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._ack_due = False
        self._ping_heard = 0
        self._clean_in = self._doubt = False
        self._probes, self._probe_at = 0, now
        self.heard_at = now

    # ---- the session

    def open(self, now: float) -> None:
        """Host: begin a new session; `Up` follows when an agent answers."""
        self.session = secrets.token_bytes(8)
        self.up = False
        self.decoder.session = self.session
        self._reset(now)
        self._hello_at = now

    def leave(self, now: float) -> None:
        """Say goodbye; three times, as it is not acknowledged."""
        self._out += [self._ended(self._frame(Frame(Kind.BYE), "text"))] * 3
        self.up = False
        self._hello_at = None

    def _say_hello(self) -> bytes:
        hello = _HELLO.pack(b"SP", VERSION, VERSION, self.session, MAX_PAYLOAD, WINDOW_MAX)
        if self.role == "target":
            hello += _ANSWER.pack(self._boot, self._agent) + self._about.encode()
        raw = pack(Frame(Kind.HELLO, payload=hello), NO_SESSION, self._own)
        return self._ended(encode(raw, "text"))

    def _ended(self, text: bytes) -> bytes:
        """A login prompt or a shell that gets (the rest of) a host's frame forgets the line by Ctrl-U."""
        return text.rstrip(b"\n") + b"\x15" if self.role == "host" else text

    def _on_hello(self, payload: bytes, now: float, events: list[Event]) -> None:
        if len(payload) < _HELLO.size:
            return
        magic, lowest, highest, nonce, most, window = _HELLO.unpack_from(payload)
        if magic != b"SP" or most < 32 or window < 1:
            return
        if self.role == "host":
            self._on_answer(payload, nonce, (lowest, highest), (window, most), now, events)
            return
        if nonce == self.session:  # repeated: our answer was lost
            self._out.append(self._say_hello())
            return
        if nonce == NO_SESSION:
            return
        self.session = self.decoder.session = nonce
        self._reset(now, window, most)
        self._out.append(self._say_hello())
        self.up = lowest <= VERSION <= highest
        if self.up:
            events.append(Up(Peer(highest)))

    def _on_answer(
        self,
        payload: bytes,
        nonce: bytes,
        versions: tuple[int, int],
        most: tuple[int, int],
        now: float,
        events: list[Event],
    ) -> None:
        if self.up and nonce not in (self.session, NO_SESSION):
            self.up = False
            events.append(Taken())
            return
        if self._hello_at is None or nonce != self.session or len(payload) < _HELLO.size + _ANSWER.size:
            return  # an agent that has no session yet, or a repeated answer
        self._hello_at = None
        if not versions[0] <= VERSION <= versions[1]:
            events.append(Refused(*versions))
            return
        boot, agent = _ANSWER.unpack_from(payload, _HELLO.size)
        self.up = True
        self._reset(now, *most)
        about = payload[_HELLO.size + _ANSWER.size :].decode(errors="replace")
        events.append(Up(Peer(versions[1], boot, agent, about)))

    # ---- receiving

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Bytes from the line."""
        events: list[Event] = []
        self._clock = self._fed_at = now
        for part in self.decoder.feed(data):
            if isinstance(part, bytes):
                events.append(Text(part))
            else:
                self._on_frame(part, now, events)
        return events

    def _on_frame(self, found: Found, now: float, events: list[Event]) -> None:
        frame = found.frame
        if not found.known:
            if frame.kind == Kind.HELLO:
                self._on_hello(frame.payload, now, events)
            return
        if not self.up:
            return
        self.heard_at = now
        self.flight.heard()
        self._clean_in = (self._clean_in or found.codec == "binary") and not frame.doubt
        self.codec = "binary" if frame.clean and not self._doubt else "text"
        if frame.kind in (Kind.ACK, Kind.DATA):
            answers = frame.number if frame.kind == Kind.ACK else 0
            self.flight.acknowledged(frame.ack, frame.bitmap, answers, now)
        if frame.kind == Kind.DATA:
            self._on_data(frame, events)
        elif frame.kind == Kind.PING:
            self._ping_heard, self._ack_due = frame.number, True
        elif frame.kind == Kind.PROBE:
            self._ack_due = True
        elif frame.kind == Kind.BYE:
            self.up = False
            events.append(Left())

    def _on_data(self, frame: Frame, events: list[Event]) -> None:
        self._ack_due = True
        gap = ahead(frame.number, self._expected)
        if gap > WINDOW_MAX:
            return  # it is here already
        self._early.setdefault(frame.number, (frame.channel, frame.payload))
        while (item := self._early.pop(self._expected, None)) is not None:
            events.append(Data(*item))
            self._expected = (self._expected + 1) & 0xFFFF

    # ---- sending

    def transmit(self, now: float) -> bytes:
        """All that may be written now; b"" when nothing may."""
        self._clock = now
        out, self._out = self._out, []
        if self._hello_at is not None and now >= self._hello_at:
            self._hello_at = now + _HELLO_EVERY
            out.append(self._say_hello())
        if self.up:
            self._probe(now, out)
            if self._ping_heard:  # who asks waits for it, and may have a window to send again
                self._acknowledge(out)
            while (data := self._next_data(now)) is not None:
                out.append(data)
            self._control(now, out)
        return b"".join(out)

    def _next_data(self, now: float) -> bytes | None:
        sent = self.flight.again(now)
        if sent is None:
            bulk = not self._settling(now) and self.flight.room(bulk=True, interactive=self.interactive)
            if not bulk and not self.flight.room(bulk=False, interactive=self.interactive):
                return None
            item = self._source(self.flight.payload(interactive=self.interactive), bulk)
            if item is None:
                return None
            sent = self.flight.add(*item, now)
        self._ack_due = False
        codec: Codec | None = "text" if sent.times > STUBBORN else None
        return self._frame(Frame(Kind.DATA, sent.channel, sent.number, payload=sent.payload), codec)

    def _acknowledge(self, out: list[bytes]) -> None:
        out.append(self._frame(Frame(Kind.ACK, number=self._ping_heard)))
        self._ack_due, self._ping_heard = False, 0

    def _control(self, now: float, out: list[bytes]) -> None:
        if self._ack_due:
            self._acknowledge(out)
        if max(self.flight.unanswered, self.flight.stubborn) >= _DOUBT and self.codec == "binary":
            self.codec, self._doubt = "text", True
            self._probes, self._probe_at = 0, now + _PROBE_AGAIN
            self.flight.stubborn = 0
        if now >= self._ping_at():
            out.append(self._frame(Frame(Kind.PING, number=self.flight.ping(now))))

    def _probe(self, now: float, out: list[bytes]) -> None:
        if now >= self._next_probe():
            self._probes, self._doubt = self._probes + 1, False
            self._probe_at = now + (_HELLO_EVERY if self._probes < _PROBES else _PROBE_AGAIN)
            out.append(self._frame(Frame(Kind.PROBE, payload=_ALL_BYTES), "binary"))

    def _settling(self, now: float) -> bool:
        """Bulk data waits a moment for the answer to the first PROBE: in binary it is a third shorter."""
        return self._probes <= 1 and self.codec == "text" and now < self._probe_at

    def _frame(self, frame: Frame, codec: Codec | None = None) -> bytes:
        bitmap = 0
        for number in self._early:
            bitmap |= 1 << (ahead(number, self._expected) - 1)
        whole = replace(frame, ack=self._expected, bitmap=bitmap, clean=self._clean_in, doubt=self._doubt)
        return encode(pack(whole, self.session, self._own), codec or self.codec)

    # ---- time

    def _ping_at(self) -> float:
        if self.flight.sent:
            return self.flight.due
        if self.role == "target":
            return float("inf")
        return max(self.heard_at + HEARTBEAT, self.flight.due)

    def _next_probe(self) -> float:
        return float("inf") if self.codec == "binary" else self._probe_at

    def wake(self) -> float:
        """When `transmit` has something to send even if nothing else happens; inf: never."""
        if self._out or self._ack_due:
            return self._clock
        times = [self._hello_at if self._hello_at is not None else float("inf")]
        if self.up:
            times += [self._ping_at(), self._next_probe()]
        return min(times)

    def silence(self, now: float) -> float:
        """Seconds since a frame of the other side came."""
        return now - self.heard_at

    def flush(self, now: float) -> bytes:
        """Text held back for a frame that did not go on within FLUSH seconds."""
        return self.decoder.flush() if now - self._fed_at >= FLUSH else b""
