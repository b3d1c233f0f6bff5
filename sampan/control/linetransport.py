"""The console of a line as a transport, beside whatever else its owner carries over it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from sampan.control.client import Connection, LineFailure
from sampan.control.packets import Kind
from sampan.control.target import Line
from sampan.serial.console import Console
from sampan.serial.log import LineLog
from sampan.serial.sync import SyncConsole, shared_loop
from sampan.serial.transport import LineLost, OnData, OnEnd


class LineTransport:
    """A terminal of the line's owner. Keys wait while programs run over the line."""

    def __init__(self, line: Line, *, watch: bool = False) -> None:
        """Ask for the console; `watch`: only to look. Raises LineFailure when the line cannot be had."""
        self.description = f"the console of {line.target}"
        self._connection = Connection(line, {"do": "terminal", "watch": watch, "tty": False})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_data: OnData = lambda data: None
        self._on_end: OnEnd = lambda reason: None
        self._open = True

    def start(self, on_data: OnData, on_end: OnEnd) -> None:
        self._on_data, self._on_end = on_data, on_end
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._connection.fileno(), self._read)

    def _read(self) -> None:
        try:
            for kind, payload in self._connection.read():
                if kind == Kind.STDOUT:
                    self._on_data(payload)
        except LineFailure as failure:
            if self._open:
                self.close()
                self._on_end(failure.message.partition("\n")[0])

    async def write(self, data: bytes) -> None:
        self._send(Kind.INPUT, data)

    async def send_break(self) -> None:
        self._send(Kind.COMMAND, b"b")

    def _send(self, kind: Kind, data: bytes) -> None:
        if not self._open:
            raise LineLost(f"{self.description}: the line is closed")
        try:
            self._connection.send(kind, data)
        except LineFailure as failure:
            raise LineLost(failure.message) from failure

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._loop is not None:
            self._loop.remove_reader(self._connection.fileno())
        self._connection.close()


@contextlib.contextmanager
def joined(line: Line, *, watch: bool = False) -> Iterator[SyncConsole]:
    """The console for ordinary code, as long as the block lasts."""
    thread = shared_loop()

    async def begin() -> Console:
        console = Console(LineTransport(line, watch=watch), LineLog(None))
        console.start()
        return console

    console = SyncConsole(thread.call(begin()), thread)
    try:
        yield console
    finally:
        console.close()
