"""Where the brokers of lines are found: one folder for each line, held by a lock as long as its broker lives.

    $XDG_RUNTIME_DIR/sampan/line/NAME/   (else ~/.cache/sampan/run/line/NAME/), mode 0700
        lock         locked while a broker owns the line
        sock         its clients
        console.log  what came over the line that is no frame; console.log.1 is the one before

and what both sides of that socket say: packets of a length (4 bytes, little endian), a type
(1 byte) and a payload.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from pathlib import Path

from sampan.core import paths
from sampan.core.errors import SampanError

PACKET = struct.Struct("<IB")
#: client: a request (JSON), stdin, its end, a signal number, "ROWS COLUMNS"
REQUEST, INPUT, EOF, SIGNAL, SIZE = b"RIZKW"
#: broker: stdout, stderr, the end (JSON), a failure (JSON), a remark for the person
STDOUT, STDERR, END, FAILURE, NOTE = b"OEXFN"
PACKET_MAX = 1 << 20
_SOCKET_PATH_MAX = 107  #: bytes (sun_path)


def packet(kind: int, payload: bytes = b"") -> bytes:
    """One packet."""
    return PACKET.pack(len(payload), kind) + payload


class LinePlace:
    """The folder of one line, by the URL or device that opens it."""

    def __init__(self, url: str) -> None:
        real = url if "://" in url else os.path.realpath(url)
        digest = hashlib.sha256(real.encode()).hexdigest()[:8]
        stem = re.sub(r"[^A-Za-z0-9]+", "-", real)[-16:].strip("-")
        self.folder = root() / f"{stem}-{digest}"
        self.lock = self.folder / "lock"
        self.socket = self.folder / "sock"
        self.log = self.folder / "console.log"
        self.broker_log = self.folder / "broker.log"
        if len(os.fsencode(self.socket)) > _SOCKET_PATH_MAX:
            raise SampanError(f"{self.socket}: longer than a socket's path can be", hint="set XDG_RUNTIME_DIR")


def root() -> Path:
    """The folder of all lines of this user."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base).absolute() / "sampan" / "line" if base else paths.cache_dir() / "run" / "line"
