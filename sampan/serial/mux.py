"""Programs on the target over one link: channels with streams, credits and priorities (the host's end).

A channel is one request: run a program. Its streams never take more than the reader on the other
side has room for, so a slow one holds up nobody else. No I/O: a Link carries what `source` gives.
"""

from __future__ import annotations

import secrets
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from sampan.core.errors import EXIT_USAGE, SampanError

CHANNELS = 8  #: programs at once
REQUEST_MAX = 8192  #: bytes of arguments and environment
STDIN_CREDIT = 4096  #: bytes of stdin a new channel may get before the target grants more
OUTPUT_CREDIT = 32768  #: bytes of output the host takes before it grants more

_ID = 8
_OPEN = struct.Struct("<B8sBHHI")
_U32 = struct.Struct("<BI")
_SIZE = struct.Struct("<BHH")
_END = struct.Struct("<BHB")
_SIGNALLED = 256
_REPEATED = 1


class Stream(IntEnum):
    """The low three bits of a channel byte."""

    MESSAGE = 0
    STDIN = 1
    STDOUT = 2
    STDERR = 3


class Flag(IntEnum):
    """How a program is run."""

    TERMINAL = 1  #: on a pty of its own
    VERB = 2  #: the words are a verb of the agent's own program
    URGENT = 4  #: before bulk data


@dataclass(frozen=True)
class End:
    """How a program ended. `signal`: 0, or what killed it; `failure`: why it did not even begin."""

    status: int
    signal: int = 0
    repeated: bool = False  #: the request was known; it was not run again and its output is not here
    failure: str = ""

    @property
    def exit_code(self) -> int:
        """As a shell tells it."""
        return 128 + self.signal if self.signal else self.status


@dataclass(frozen=True)
class Request:
    """What shall run. `words` are the program and its arguments, or a verb and its options."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: int = 0
    rows: int = 24
    columns: int = 80
    ident: bytes = b""  #: 8 bytes; the same request is run once however often it is opened

    def block(self) -> bytes:
        """The words and the environment as they go over; SampanError when they are too long."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        parts = [*self.words, "", *variables]
        if any("\0" in part for part in parts) or "" in self.words[:1] or not self.words:
            raise SampanError("a word of a command holds a NUL byte or is missing", code=EXIT_USAGE)
        block = b"".join(part.encode("utf-8", "surrogateescape") + b"\0" for part in parts)
        if len(block) > REQUEST_MAX:
            raise SampanError(f"the command is {len(block)} bytes long, {REQUEST_MAX} are the most", code=EXIT_USAGE)
        return block


class Channel:
    """One program. `on_data` gets its output, `on_end` how it ended; `consumed` asks for more."""

    def __init__(self, mux: Mux, number: int, request: Request) -> None:
        self.number = number
        self.request = request
        self.on_data: Callable[[Stream, bytes], None] = lambda stream, data: None
        self.on_end: Callable[[End], None] = lambda end: None
        self.on_room: Callable[[], None] = lambda: None  #: less input waits than before
        self.urgent = bool(request.flags & (Flag.TERMINAL | Flag.URGENT))
        self.ended = False
        self._mux = mux
        self._messages: deque[bytes] = deque()
        self._input: deque[bytes] = deque()
        self.waiting = 0  #: bytes of input that have not left yet
        self.passed = 0  #: bytes of input that have
        self._credit = STDIN_CREDIT
        self._eof = False  #: to be sent when the input is
        self._owed = 0  #: bytes of output consumed and not granted again

    def begin(self) -> None:
        """Queue the request."""
        block, size = self.request.block(), 200
        self._messages += [b"A" + block[at : at + size] for at in range(0, len(block), size)]
        ident = self.request.ident or secrets.token_bytes(_ID)
        r = self.request
        self._messages.append(_OPEN.pack(ord("O"), ident, r.flags & 0xFF, r.rows, r.columns, OUTPUT_CREDIT))

    def write(self, data: bytes) -> None:
        """Queue input; `waiting` tells how much has not left yet."""
        if data and not self._eof and not self.ended:
            self._input.append(data)
            self.waiting += len(data)

    def close_input(self) -> None:
        """The end of the input, behind what is queued."""
        self._eof = True

    def signal(self, number: int) -> None:
        """Send a signal to the program's process group."""
        self._messages.append(bytes((ord("K"), number & 0xFF)))

    def resize(self, rows: int, columns: int) -> None:
        self._messages.append(_SIZE.pack(ord("W"), rows, columns))

    def close(self) -> None:
        """Nobody wants it any more: it gets SIGHUP, and `on_end` comes when it is gone."""
        self._messages.append(b"X")
        self._input.clear()
        self.waiting = 0

    def consumed(self, count: int) -> None:
        """So many bytes of output are done with."""
        self._owed += count
        if self._owed >= OUTPUT_CREDIT // 2:
            self._messages.append(_U32.pack(ord("C"), self._owed))
            self._owed = 0

    def next_message(self) -> bytes | None:
        """The next control message, for the mux."""
        if self._messages:
            return self._messages.popleft()
        if self._eof and not self._input:
            self._eof = False
            return b"Z"
        return None

    def next_input(self, room: int) -> bytes | None:
        """The next piece of input, for the mux."""
        room = min(room, self._credit)
        if not self._input or room <= 0:
            return None
        piece = self._input.popleft()
        if len(piece) > room:
            self._input.appendleft(piece[room:])
            piece = piece[:room]
        while self._input and len(piece) < room:
            more = self._input.popleft()
            piece, rest = piece + more[: room - len(piece)], more[room - len(piece) :]
            if rest:
                self._input.appendleft(rest)
        self._credit -= len(piece)
        self.waiting -= len(piece)
        self.passed += len(piece)
        self.on_room()
        return piece

    def receive(self, stream: int, payload: bytes) -> None:
        """What the link delivered, for the mux."""
        if stream in (Stream.STDOUT, Stream.STDERR):
            self.on_data(Stream(stream), payload)
        elif stream == Stream.MESSAGE and payload:
            self._on_message(payload)

    def _on_message(self, payload: bytes) -> None:
        kind = payload[:1]
        if kind == b"C" and len(payload) == _U32.size:
            self._credit += _U32.unpack(payload)[1]
        elif kind == b"Z":
            self._input.clear()
            self.waiting = 0
            self.on_room()
        elif kind == b"E" and len(payload) == _END.size:
            _, code, flags = _END.unpack(payload)
            signal = code - _SIGNALLED if code >= _SIGNALLED else 0
            self.finish(End(0 if signal else code, signal, bool(flags & _REPEATED)))
        elif kind == b"F":
            self.finish(End(125, failure=payload[1:].decode(errors="replace")))

    def finish(self, end: End) -> None:
        """It is over: the number is free again."""
        if not self.ended:
            self.ended = True
            self._mux.forget(self)
            self.on_end(end)


class Mux:
    """The channels of one session."""

    def __init__(self) -> None:
        self.channels: dict[int, Channel] = {}
        self._turn = 0

    def open(self, request: Request) -> Channel:
        """A new channel; SampanError when all are in use."""
        free = next((number for number in range(CHANNELS) if number not in self.channels), None)
        if free is None:
            raise SampanError(
                f"{CHANNELS} programs run over this line already", hint="wait for one of them, or end one"
            )
        channel = Channel(self, free, request)
        channel.begin()
        self.channels[free] = channel
        return channel

    def forget(self, channel: Channel) -> None:
        self.channels.pop(channel.number, None)

    @property
    def interactive(self) -> bool:
        """A person may be typing."""
        return any(channel.request.flags & Flag.TERMINAL for channel in self.channels.values())

    def source(self, room: int, bulk: bool) -> tuple[int, bytes] | None:
        """What to send next: messages, then those who type, then everybody else in turn."""
        channels = list(self.channels.values())
        for channel in channels:
            message = channel.next_message()
            if message is not None:
                return channel.number * 8 + Stream.MESSAGE, message
        self._turn += 1
        turn = self._turn % len(channels) if channels else 0
        for channel in sorted(channels[turn:] + channels[:turn], key=lambda channel: not channel.urgent):
            if channel.urgent or bulk:
                piece = channel.next_input(room)
                if piece is not None:
                    return channel.number * 8 + Stream.STDIN, piece
        return None

    def receive(self, channel_byte: int, payload: bytes) -> None:
        """A delivered payload; one of a channel that is gone is ignored."""
        channel = self.channels.get(channel_byte >> 3)
        if channel is not None:
            channel.receive(channel_byte & 7, payload)

    def fail(self, reason: str) -> None:
        """The session is over: so is every program's channel."""
        for channel in list(self.channels.values()):
            channel.finish(End(125, failure=reason))
