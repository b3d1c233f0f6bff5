"""A client of a line: finds the broker that owns it or starts one, and asks it for one thing."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sampan.control.lines import LinePlace
from sampan.control.packets import Kind, Nonsense, Unpacker, pack
from sampan.control.target import Line
from sampan.core.errors import EXIT_FAILURE, SampanError
from sampan.core.paths import ROOT
from sampan.serial.errors import ConsoleError
from sampan.serial.ports import owner_name

_START_SECONDS = 20.0
_TRIES = 3  #: a broker may end just when it is found


class LineFailure(SampanError):
    """The line, the board or the agent on it failed, not what was asked for. `reason` is one word, or ""."""

    def __init__(self, message: str, *, hint: str = "", code: int = EXIT_FAILURE, reason: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.reason = reason


class Connection:
    """One request to a line's broker. Closing it gives up whatever it asked for."""

    def __init__(self, line: Line, request: Mapping[str, object]) -> None:
        self.line = line
        self._socket = connected(line)
        self._unpacker = Unpacker()
        self.send(Kind.REQUEST, request_of(line, request))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """One packet to the broker."""
        try:
            self._socket.sendall(pack(kind, payload))
        except OSError as error:
            raise LineFailure(f"{self.line.target}: the line's broker has ended: {error.strerror}") from error

    def input(self, data: bytes) -> None:
        """stdin of the program; the end of it for b""."""
        for at in range(0, len(data), 65536):
            self.send(Kind.INPUT, data[at : at + 65536])
        if not data:
            self.send(Kind.EOF)

    def signal(self, number: int) -> None:
        self.send(Kind.SIGNAL, bytes((number,)))

    def size(self, rows: int, columns: int) -> None:
        self.send(Kind.SIZE, f"{rows} {columns}".encode())

    def read(self) -> list[tuple[Kind, bytes]]:
        """Packets that are here; waits for the first bytes. Raises LineFailure for a failure or a broker's end."""
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise ended(self.line)
        try:
            found = self._unpacker.feed(data)
        except Nonsense as error:
            raise LineFailure(f"{self.line.target}: the broker speaks nonsense: {error}") from error
        for kind, payload in found:
            if kind == Kind.FAILURE:
                raise failure_of(self.line, payload)
        return found

    def packets(self) -> Iterator[tuple[Kind, bytes]]:
        """Everything up to and with the end."""
        while True:
            for kind, payload in self.read():
                yield kind, payload
                if kind == Kind.END:
                    return

    def writable(self) -> bool:
        """May input be sent without waiting?"""
        return bool(select.select([], [self._socket], [], 0)[1])


def request_of(line: Line, request: Mapping[str, object]) -> bytes:
    """The payload of a request: what is wanted, who logs in for it, and for whom."""
    return json.dumps({**request, "login": {"user": line.user, "password": line.password}, "who": _who()}).encode()


def ended(line: Line) -> LineFailure:
    """The broker has closed the connection in the middle of it."""
    return LineFailure(f"{line.target}: the line's broker has ended", hint=f"see {LinePlace(line.url).broker_log}")


def _who() -> str:
    """Ourselves, for others at the line."""
    program = os.path.basename(sys.argv[0]).replace("__main__.py", "sampan") or "python"
    return f"{program}, pid {os.getpid()} of {owner_name(os.getuid())}"


def failure_of(line: Line, payload: bytes) -> LineFailure:
    """The error of a FAILURE packet."""
    record = json.loads(payload)
    hint = str(record.get("hint", "")).replace("TARGET", line.target)
    code = int(record.get("code", EXIT_FAILURE))
    log = Path(record["log"]) if record.get("log") else None
    said = ConsoleError(record["message"], tail=record["tail"], log=log).message if log else str(record["message"])
    message = said if line.target.partition("?")[0] in said.splitlines()[0] else f"{line.target}: {said}"
    return LineFailure(message, hint=hint, code=code, reason=str(record.get("reason", "")))


def connected(line: Line) -> socket.socket:
    """A connection to the line's broker, which is started when there is none."""
    place = LinePlace(line.url)
    for _ in range(_TRIES):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(place.socket))
        except OSError:
            sock.close()
            _start_broker(line, place)
            continue
        owner = place.owned()
        if owner is None or owner.baud == line.baud:
            return sock
        sock.close()
        _end_broker(line, place)
    raise LineFailure(f"{line.target}: its broker does not answer", hint=f"see {place.broker_log}")


def _end_broker(line: Line, place: LinePlace) -> None:
    """The line is open at another rate: close it, unless somebody uses it."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(place.socket))
            sock.sendall(pack(Kind.REQUEST, json.dumps({"do": "end", "baud": line.baud}).encode()))
            unpacker = Unpacker()
            while data := sock.recv(65536):
                for kind, payload in unpacker.feed(data):
                    if kind == Kind.FAILURE:
                        raise failure_of(line, payload)
        except OSError:
            return  # it has ended meanwhile


def _start_broker(line: Line, place: LinePlace) -> None:
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    reader, writer = os.pipe()
    with place.broker_log.open("wb") as log:
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sampan.control.broker",
                line.url,
                str(line.baud),
                line.machine,
                line.agent,
                str(writer),
            ],
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
        raise failure_of(line, said)
    if said != b"ready\n":
        raise LineFailure(f"{line.target}: its broker did not start", hint=f"see {place.broker_log}")
