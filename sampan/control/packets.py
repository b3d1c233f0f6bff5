"""What a line's broker and its clients say over their socket: packets of a length, a kind and a payload.

A client asks for one thing by one REQUEST; the packets that follow are its input and the answer.
The end of the connection gives up whatever was asked for.
"""

from __future__ import annotations

import struct
from enum import IntEnum

_HEAD = struct.Struct("<IB")
_MOST = 1 << 20


class Kind(IntEnum):
    """The kinds of packets, by who sends them."""

    REQUEST = ord("R")  #: client: what it wants (JSON)
    INPUT = ord("I")  #: client: stdin, or keys
    EOF = ord("Z")  #: client: the end of stdin
    SIGNAL = ord("K")  #: client: one byte, a signal's number
    SIZE = ord("W")  #: client: "ROWS COLUMNS"
    COMMAND = ord("C")  #: client: one letter, what a terminal wants done besides keys
    STDOUT = ord("O")  #: broker
    STDERR = ord("E")  #: broker
    PASSED = ord("P")  #: broker: how many bytes of stdin have left for the program (decimal), when it was asked to
    NOTE = ord("N")  #: broker: a remark for the person
    END = ord("X")  #: broker: how it ended (JSON)
    FAILURE = ord("F")  #: broker: why it could not be done (JSON: message, hint, code)


class Nonsense(ValueError):
    """These bytes are no packets."""


def pack(kind: Kind, payload: bytes = b"") -> bytes:
    """One packet."""
    return _HEAD.pack(len(payload), kind) + payload


class Unpacker:
    """Bytes in, whole packets out, however the bytes are cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[Kind, bytes]]:
        """Packets that are complete now. Raises Nonsense."""
        self._buffer += data
        found = []
        while len(self._buffer) >= _HEAD.size:
            size, kind = _HEAD.unpack_from(self._buffer)
            if size > _MOST or kind not in Kind._value2member_map_:
                raise Nonsense(f"a packet of kind {kind} and {size} bytes")
            if len(self._buffer) < _HEAD.size + size:
                break
            found.append((Kind(kind), bytes(self._buffer[_HEAD.size : _HEAD.size + size])))
            del self._buffer[: _HEAD.size + size]
        return found
