"""Frames on a serial line: their bytes, two codecs, and finding them among everything else.

A line carries frames, kernel messages, prompts and a person's keys at once. A frame vouches for
itself (CRC-32, started with the session and the direction), so what is no frame is text, and a
frame of another session, or our own frame echoed by a shell, is none. No I/O and no time here.
The format is specified in docs/serial-protocol.md.
"""

from __future__ import annotations

import binascii
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal
from zlib import crc32

Codec = Literal["text", "binary"]
Direction = Literal[b"H", b"T"]
FROM_HOST: Direction = b"H"
FROM_TARGET: Direction = b"T"

NO_SESSION = bytes(8)  #: what HELLO frames are summed with
MAX_PAYLOAD = 1000  #: bytes; the two sides may agree on less
MARK = b"#~"  #: begins a text frame; a shell takes such a line for a comment

FLAG_BITMAP = 0x10  #: 4 bytes of bitmap follow the header
FLAG_CLEAN = 0x20  #: binary frames of the other side reach us: it may send them
FLAG_DOUBT = 0x40  #: ours seem to get lost: take that back until the next PROBE
_KIND = 0x0F

_HEADER = struct.Struct("<BBHH")
_BITMAP = struct.Struct("<I")
_SUM = struct.Struct("<I")
_SMALLEST = _HEADER.size + _SUM.size
_LARGEST = _HEADER.size + _BITMAP.size + MAX_PAYLOAD + _SUM.size
_LARGEST_TEXT = (_LARGEST * 8 + 5) // 6
_LARGEST_BINARY = _LARGEST + _LARGEST // 254 + 1


class Kind(IntEnum):
    """What a frame is. DATA is delivered once and in order; the others may be lost or repeated."""

    ACK = 0
    DATA = 1
    PING = 2
    PROBE = 3
    HELLO = 4
    BYE = 5


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `number` is the sequence number of DATA, the number of a PING, which an ACK repeats."""

    kind: Kind
    channel: int = 0
    number: int = 0
    ack: int = 0  #: the next sequence number that is missing
    bitmap: int = 0  #: bit n: number ack + 1 + n is here already
    payload: bytes = b""
    clean: bool = False  #: see FLAG_CLEAN
    doubt: bool = False  #: see FLAG_DOUBT


def pack(frame: Frame, session: bytes, direction: Direction) -> bytes:
    """The bytes of a frame with its sum, before a codec."""
    flags = frame.kind | (FLAG_CLEAN * frame.clean) | (FLAG_DOUBT * frame.doubt) | (FLAG_BITMAP * bool(frame.bitmap))
    raw = _HEADER.pack(flags, frame.channel, frame.number, frame.ack)
    if frame.bitmap:
        raw += _BITMAP.pack(frame.bitmap)
    raw += frame.payload
    return raw + _SUM.pack(crc32(raw, crc32(direction + session)))


def unpack(raw: bytes, session: bytes, direction: Direction) -> Frame | None:
    """The frame in `raw`, or None when it is none of this session and direction."""
    if not _SMALLEST <= len(raw) <= _LARGEST:
        return None
    body = raw[: -_SUM.size]
    if _SUM.unpack(raw[-_SUM.size :])[0] != crc32(body, crc32(direction + session)):
        return None
    flags, channel, number, ack = _HEADER.unpack_from(body)
    at = _HEADER.size
    bitmap = 0
    if flags & FLAG_BITMAP:
        if len(body) < at + _BITMAP.size:
            return None
        bitmap = _BITMAP.unpack_from(body, at)[0]
        at += _BITMAP.size
    try:
        kind = Kind(flags & _KIND)
    except ValueError:
        return None  # of a later version: as if it had been lost
    clean, doubt = bool(flags & FLAG_CLEAN), bool(flags & FLAG_DOUBT)
    return Frame(kind, channel, number, ack, bitmap, body[at:], clean, doubt)


def encode(raw: bytes, codec: Codec) -> bytes:
    """A packed frame as it goes on the line.

    >>> encode(bytes(3), "text")
    b'#~AAAA\\n'
    >>> encode(bytes([1, 0, 2]), "binary")
    b'\\x00\\x02\\x01\\x02\\x02\\x00'
    """
    if codec == "text":
        return MARK + binascii.b2a_base64(raw, newline=False).rstrip(b"=") + b"\n"
    return b"\0" + cobs(raw) + b"\0"


def cobs(data: bytes) -> bytes:
    """Consistent overhead byte stuffing: the same bytes without a zero, one byte longer in 254."""
    out = bytearray()
    runs = data.split(b"\0")
    for run in runs:
        while len(run) > 254:
            out.append(255)
            out += run[:254]
            run = run[254:]
        if len(run) == 254 and run is not runs[-1]:
            out.append(255)
            out += run
            run = b""
        out.append(len(run) + 1)
        out += run
    return bytes(out)


def uncobs(data: bytes) -> bytes | None:
    """What `cobs` made `data` from, or None when it is no output of it."""
    out = bytearray()
    at, size = 0, len(data)
    while at < size:
        code = data[at]
        if code == 0 or at + code > size:
            return None
        out += data[at + 1 : at + code]
        at += code
        if code < 255 and at < size:
            out.append(0)
    return bytes(out)


def untext(data: bytes) -> bytes | None:
    """What the text codec's base64 stands for, without MARK and end; None for a length it cannot have."""
    if len(data) % 4 == 1:
        return None
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


_TEXT_FRAME = re.compile(rb"#~([A-Za-z0-9+/]{14,%d})(?=[^A-Za-z0-9+/])\n?" % _LARGEST_TEXT)
_TEXT_BEGUN = re.compile(rb"#(~[A-Za-z0-9+/]{0,%d})?\Z" % _LARGEST_TEXT)
_READABLE = re.compile(rb"[\t\n\r\x1b\x20-\x7e]{6,}")
_PLAIN = re.compile(rb"[\t\n\r\x07\x08\x1b\x20-\x7e\x80-\xff]*\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """A frame, and the codec it came in."""

    frame: Frame
    codec: Codec
    known: bool  #: of the session, not of NO_SESSION


class Decoder:
    """Cuts a stream into frames and text. Frames of both codecs are found at any time.

    `damaged` counts what began like a frame and was none, `echoes` our own frames that came back.
    """

    def __init__(self, direction: Direction) -> None:
        """`direction`: whose frames are looked for."""
        self.session = NO_SESSION
        self.damaged = 0
        self.echoes = 0
        self._direction: Direction = direction
        self._own: Direction = FROM_HOST if direction == FROM_TARGET else FROM_TARGET
        self._open = b""  #: since the last zero byte, without text frames
        self._told = 0  #: bytes of `_open` that were given out as text already

    def feed(self, data: bytes) -> list[Found | bytes]:
        """Frames and text in the order they came in. Text may be held back; see `flush`."""
        out: list[Found | bytes] = []
        pieces = data.split(b"\0")
        for piece in pieces[:-1]:
            self._open += piece
            self._chunk(out)
        self._open += pieces[-1]
        self._text_frames(out)
        if len(self._open) > 2 * _LARGEST_BINARY:
            self._release(out, len(self._open) - _LARGEST_BINARY)
        return out

    @property
    def holding(self) -> bool:
        """Is there something that `flush` might give?"""
        return len(self._open) > self._told

    def flush(self) -> bytes:
        """Text that waits to see whether it belongs to a frame; for when nothing came for a while.

        It still counts for a frame that goes on later.
        """
        begun = _TEXT_BEGUN.search(self._open)
        end = begun.start() if begun and len(begun[0]) > 1 else len(self._open)
        if end <= self._told or not _PLAIN.match(self._open[:end]):
            return b""
        text, self._told = self._open[self._told : end], end
        return text

    def _chunk(self, out: list[Found | bytes]) -> None:
        """A zero byte: what stands before it is a binary frame, or it is text."""
        self._text_frames(out)
        chunk, told = self._open, self._told
        self._open, self._told = b"", 0
        if not chunk:
            return
        raw = uncobs(chunk) if len(chunk) <= _LARGEST_BINARY else None
        found = self._found(raw, "binary") if raw is not None and len(raw) >= _SMALLEST else None
        if found is not None:
            if isinstance(found, Found):
                out.append(found)
            return
        _say(out, self._readable(chunk[told:]))

    def _text_frames(self, out: list[Found | bytes]) -> None:
        """Take whole text frames out of the open bytes, and give out the text before them."""
        at = 0
        while (match := _TEXT_FRAME.search(self._open, at)) is not None:
            raw = untext(match[1])
            found = self._found(raw, "text") if raw is not None else None
            if found is None:
                self.damaged += 1
                at = match.end()
                continue
            before = self._open[self._told : match.start()]
            _say(out, self._readable(before))
            if isinstance(found, Found):
                out.append(found)
            self._open, self._told, at = self._open[match.end() :], 0, 0

    def _release(self, out: list[Found | bytes], count: int) -> None:
        _say(out, self._readable(self._open[self._told : count]))
        self._open, self._told = self._open[count:], max(0, self._told - count)

    def _found(self, raw: bytes, codec: Codec) -> Found | Literal["echo"] | None:
        frame = unpack(raw, self.session, self._direction)
        if frame is not None:
            return Found(frame, codec, known=self.session != NO_SESSION)
        if self.session != NO_SESSION:
            frame = unpack(raw, NO_SESSION, self._direction)
            if frame is not None:
                return Found(frame, codec, known=False)
        if any(unpack(raw, session, self._own) for session in {self.session, NO_SESSION}):
            self.echoes += 1
            return "echo"
        return None

    def _readable(self, chunk: bytes) -> bytes:
        """Text as it is; of a broken frame only what a person could have meant."""
        if _PLAIN.match(chunk):
            return chunk
        self.damaged += 1
        return b"".join(_READABLE.findall(chunk))


def _say(out: list[Found | bytes], text: bytes) -> None:
    if not text:
        return
    if out and isinstance(out[-1], bytes):
        out[-1] += text
    else:
        out.append(text)
