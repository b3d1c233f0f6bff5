"""A client of a line: finds the broker that owns it or starts one, and asks it for one thing."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from sampan.control.lines import (
    END,
    EOF,
    FAILURE,
    INPUT,
    NOTE,
    PACKET,
    PACKET_MAX,
    REQUEST,
    SIGNAL,
    SIZE,
    STDERR,
    STDOUT,
    LinePlace,
    packet,
)
from sampan.core.errors import EXIT_FAILURE, EXIT_USAGE, SampanError, did_you_mean
from sampan.core.paths import ROOT

__all__ = ["END", "FAILURE", "NOTE", "STDERR", "STDOUT", "Connection", "Line", "resolve"]

_START_SECONDS = 20.0
_SCHEMES = ("socket://", "rfc2217://", "unix://")


@dataclass(frozen=True)
class Line:
    """What a target's name comes to. `pid`: of the QEMU behind the line, 0 for a real one."""

    target: str
    url: str
    baud: int = 115200
    user: str = "root"
    pid: int = 0


def resolve(target: str) -> Line:
    """`qemu:BOARD[:INSTANCE]`, a device (`/dev/ttyUSB0?baud=115200`), a URL, or a name from targets.toml."""
    if target.startswith("qemu:"):
        from sampan.qemu import places

        board, _, instance = target.removeprefix("qemu:").partition(":")
        place, state = places.find(instance or board)
        return Line(target, f"unix://{place.console}", pid=state.pid)
    name, question, options = target.partition("?")
    if name.startswith(_SCHEMES) or name.startswith("/"):
        found = dict(parse_qsl(options, keep_blank_values=True))
        if set(found) - {"baud", "user"} or (question and not found) or not found.get("baud", "1").isdigit():
            raise SampanError(f"{target}: only ?baud=RATE and ?user=NAME may follow", code=EXIT_USAGE)
        return Line(target, name, int(found.get("baud", "115200")), found.get("user", "root"))
    return _named(target)


def _named(target: str) -> Line:
    files = [Path("targets.toml"), Path(os.path.expanduser("~/.config/sampan/targets.toml"))]
    known: dict[str, dict[str, object]] = {}
    for path in reversed(files):
        with contextlib.suppress(FileNotFoundError):
            try:
                known |= tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise SampanError(f"{path}: {error}", code=EXIT_USAGE) from error
    entry = known.get(target)
    if not isinstance(entry, dict) or not isinstance(entry.get("line"), str) or entry["line"] == target:
        hint = did_you_mean(target, known) if known else "qemu:BOARD, /dev/ttyUSB0, socket://HOST:PORT, rfc2217://..."
        raise SampanError(f"{target}: no such target", hint=hint, code=EXIT_USAGE)
    return resolve(str(entry["line"]))


class Connection:
    """One request to a line's broker. Closing it gives up whatever it asked for."""

    def __init__(self, line: Line, request: Mapping[str, object]) -> None:
        self.line = line
        self._socket = _connect(line)
        self._buffer = bytearray()
        self.send(REQUEST, json.dumps(request).encode())

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, kind: int, payload: bytes = b"") -> None:
        """One packet to the broker."""
        try:
            self._socket.sendall(packet(kind, payload))
        except OSError as error:
            raise SampanError(f"{self.line.target}: the line's broker has ended: {error.strerror}") from error

    def input(self, data: bytes) -> None:
        """stdin of the program; the end of it for b""."""
        for at in range(0, len(data), 65536):
            self.send(INPUT, data[at : at + 65536])
        if not data:
            self.send(EOF)

    def signal(self, number: int) -> None:
        self.send(SIGNAL, bytes((number,)))

    def size(self, rows: int, columns: int) -> None:
        self.send(SIZE, f"{rows} {columns}".encode())

    def read(self) -> list[tuple[int, bytes]]:
        """Packets that are here; waits for the first bytes. Raises SampanError for a failure or a broker's end."""
        data = self._socket.recv(65536)
        if not data:
            raise SampanError(
                f"{self.line.target}: the line's broker has ended", hint=f"{LinePlace(self.line.url).log}"
            )
        self._buffer += data
        found: list[tuple[int, bytes]] = []
        while len(self._buffer) >= PACKET.size:
            size, kind = PACKET.unpack_from(self._buffer)
            if size > PACKET_MAX:
                raise SampanError(f"{self.line.target}: the broker speaks nonsense")
            if len(self._buffer) < PACKET.size + size:
                break
            payload = bytes(self._buffer[PACKET.size : PACKET.size + size])
            del self._buffer[: PACKET.size + size]
            if kind == FAILURE:
                raise _failure(payload)
            found.append((kind, payload))
        return found

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Everything up to and with the end."""
        while True:
            for kind, payload in self.read():
                yield kind, payload
                if kind == END:
                    return

    def writable(self) -> bool:
        """May input be sent without waiting?"""
        return bool(select.select([], [self._socket], [], 0)[1])


def _failure(payload: bytes) -> SampanError:
    record = json.loads(payload)
    return SampanError(
        str(record["message"]), hint=str(record.get("hint", "")), code=int(record.get("code", EXIT_FAILURE))
    )


def _connect(line: Line) -> socket.socket:
    place = LinePlace(line.url)
    for attempt in range(2):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(place.socket))
            return sock
        except OSError:
            sock.close()
        if attempt == 0:
            _start_broker(line, place)
    raise SampanError(f"{line.target}: its broker does not answer", hint=f"see {place.broker_log}")


def _start_broker(line: Line, place: LinePlace) -> None:
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    reader, writer = os.pipe()
    words: Sequence[object] = (line.url, line.baud, line.user, "env", line.pid, writer)
    with place.broker_log.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "sampan.control.broker", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writer,),
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
    child.returncode = 0  # it lives on; nobody here waits for it
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        said = b""
        while select.select([pipe], [], [], _START_SECONDS)[0]:
            data = pipe.read(4096)
            if not data:
                break
            said += data
    if said.startswith(b"{"):
        raise _failure(said)
    if said != b"ready\n":
        raise SampanError(f"{line.target}: its broker did not start", hint=f"see {place.broker_log}")
