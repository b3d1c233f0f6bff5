"""Where the brokers of lines are found: one folder for each line, held by a lock as long as its broker lives.

$XDG_RUNTIME_DIR/sampan/line/NAME/   (else ~/.cache/sampan/run/line/NAME/), mode 0700
    lock         locked while a broker owns the line
    sock         its clients
    line.json    Owner: what the broker has open, and how
    console.log  what came over the line that is no frame; console.log.1 ... are older
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from pathlib import Path

import msgspec

from sampan.core import paths
from sampan.core.errors import SampanError

_SOCKET_PATH_MAX = 107  #: bytes (sun_path)


class Owner(msgspec.Struct, frozen=True):
    """What a broker has open."""

    url: str
    baud: int
    pid: int  #: the broker's


class LinePlace:
    """The folder of one line, by the URL or device that opens it."""

    def __init__(self, url: str) -> None:
        real = url if "://" in url else os.path.realpath(url)
        digest = hashlib.sha256(real.encode()).hexdigest()[:8]
        stem = re.sub(r"[^A-Za-z0-9]+", "-", real)[-16:].strip("-")
        self.folder = root() / f"{stem}-{digest}"
        self.lock = self.folder / "lock"
        self.socket = self.folder / "sock"
        self.owner = self.folder / "line.json"
        self.log = self.folder / "console.log"
        self.broker_log = self.folder / "broker.log"
        if len(os.fsencode(self.socket)) > _SOCKET_PATH_MAX:
            raise SampanError(f"{self.socket}: longer than a socket's path can be", hint="set XDG_RUNTIME_DIR")

    def wait_until_free(self, seconds: float) -> None:
        """Until no broker holds the line, at most so long: one ends by itself when its line has ended."""
        end = time.monotonic() + seconds
        with contextlib.suppress(FileNotFoundError), self.lock.open("r+b") as lock:
            while time.monotonic() < end:
                with contextlib.suppress(BlockingIOError):
                    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                time.sleep(0.02)

    def owned(self) -> Owner | None:
        """What the last broker has (or had) open."""
        try:
            return msgspec.json.decode(self.owner.read_bytes(), type=Owner)
        except (OSError, msgspec.MsgspecError):
            return None


def root() -> Path:
    """The folder of all lines of this user."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base).absolute() / "sampan" / "line" if base else paths.cache_dir() / "run" / "line"
