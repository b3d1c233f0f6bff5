"""The simulated line between two file descriptors, in real time, on an asyncio loop.

From QEMU's socket no more is read than the wire can send, so the guest's UART says "transmitter
busy" as silicon does and the kernel's messages meet a full buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import replace

from sampan.serial.linesim import Line, Pipe
from sampan.serial.linespec import LineSpec

_UART_FIFO = 16  #: bytes a 16550 sends without being asked; the wire model's buffer on the board's side
_UNREAD = 1 << 20  #: bytes for an end that does not read; more than that is not taken off the other


class LineRunner:
    """Moves bytes between `host` and `board` as the line would. Ends by itself with either of them."""

    def __init__(self, spec: LineSpec) -> None:
        paced = spec.to_host.baud > 0
        to_host = replace(spec.to_host, buffer=_UART_FIFO) if paced else spec.to_host
        self.line = Line(replace(spec, to_host=to_host))
        self._ways: list[_Way] = []
        self._release: list[Callable[[], None]] = []

    def start(self, host: socket.socket, board: socket.socket) -> None:
        """Begin, on the running loop. Both sockets are the line's from now on."""
        loop = asyncio.get_running_loop()
        shrink(board)
        for end in (host, board):
            end.setblocking(False)
            self._release.append(end.close)
        began = loop.time()
        self._ways = [
            _Way(self.line.to_host, board, host, began, self._ended),
            _Way(self.line.to_board, host, board, began, self._ended),
        ]
        for way in self._ways:
            way.turn()

    def _ended(self) -> None:
        if all(way.ended for way in self._ways):
            self.close()

    def close(self) -> None:
        """Stop and close both ends; harmless when repeated."""
        for way in self._ways:
            way.stop()
        while self._release:
            self._release.pop()()


def shrink(sock: socket.socket) -> None:
    """Let as little as possible lie in a socket: what lies there is neither sent nor waiting."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 1)  # the kernel makes it its minimum


class _Way:
    """One direction: reads its source as fast as the pipe takes it, writes what has arrived to its sink."""

    def __init__(
        self, pipe: Pipe, source: socket.socket, sink: socket.socket, began: float, on_end: Callable[[], None]
    ) -> None:
        self._pipe = pipe
        self._source = source
        self._sink = sink
        self._began = began
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._out = bytearray()
        self._waited = False  #: bytes may have waited for room since the last read
        self._eof = False
        self._reading = False
        self._writing = False
        self.ended = False

    def turn(self) -> None:
        """Bring the pipe to now and see what to wait for next."""
        if self.ended:
            return
        self._fill(self._loop.time() - self._began)
        self._out += self._pipe.read()
        if not self._drain():
            return self._end()
        if self._eof and self._pipe.idle and not self._out:
            return self._end()
        self._wait()

    def _fill(self, now: float) -> None:
        """Take bytes off the source until the wire is busy up to now, or there are none."""
        self._pipe.advance(now)
        while not self._eof and self._pipe.room and len(self._out) < _UNREAD:
            try:
                data = os.read(self._source.fileno(), self._pipe.room)
            except BlockingIOError:
                self._waited = False
                return
            except OSError:
                data = b""
            self._eof = not data
            self._pipe.write(data, waited=self._waited)
            self._pipe.advance(now)
            self._out += self._pipe.read()
            self._waited = True

    def _drain(self) -> bool:
        """Give the sink what has arrived; False when it is gone."""
        while self._out:
            try:
                del self._out[: os.write(self._sink.fileno(), self._out)]
            except BlockingIOError:
                return True
            except OSError:
                return False
        return True

    def _wait(self) -> None:
        self._watch_source(not self._eof and bool(self._pipe.room) and len(self._out) < _UNREAD)
        self._watch_sink(bool(self._out))
        if self._timer is not None:
            self._timer.cancel()
        moment = self._pipe.next_event()
        self._timer = self._loop.call_at(self._began + moment, self.turn) if moment is not None else None

    def _watch_source(self, wanted: bool) -> None:
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._loop.add_reader(self._source.fileno(), self.turn)
            else:
                self._loop.remove_reader(self._source.fileno())

    def _watch_sink(self, wanted: bool) -> None:
        if wanted != self._writing:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(self._sink.fileno(), self.turn)
            else:
                self._loop.remove_writer(self._sink.fileno())

    def _end(self) -> None:
        self.stop()
        # The other end reads what is there and then sees the end.
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)
        self._on_end()

    def stop(self) -> None:
        if self.ended:
            return
        self.ended = True
        self._watch_source(False)
        self._watch_sink(False)
        if self._timer is not None:
            self._timer.cancel()
