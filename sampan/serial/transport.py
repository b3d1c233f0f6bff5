"""One interface for everything that carries a console's bytes.

A transport delivers what arrives through two callbacks on an asyncio loop and takes what is to
be sent with back-pressure. It knows nothing of logins, markers or logs. What can be polled
(sockets, ptys, real ports) is read by the loop itself: no thread, no naps, no one-byte reads.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from sampan.core.errors import SampanError

_CHUNK = 65536

OnData = Callable[[bytes], None]
#: Called once when the line ends; "" is an ordinary end (the other side closed it).
OnEnd = Callable[[str], None]


class LineLost(SampanError):
    """The line ended while something was to be sent or was awaited on it."""


class Transport(Protocol):
    """Bytes in and out. All methods belong to the loop that called `start`."""

    description: str  #: for messages, such as "/dev/ttyUSB0 at 115200 baud"

    def start(self, on_data: OnData, on_end: OnEnd) -> None:
        """Begin to deliver what arrives. Must be called on the running loop, once."""

    async def write(self, data: bytes) -> None:
        """Send all of `data`; returns when the line has taken it. Raises LineLost."""

    async def send_break(self) -> None:
        """Hold the line in BREAK for a moment (SysRq on a Linux console)."""

    def close(self) -> None:
        """Give the line back; harmless when repeated."""


class FdTransport:
    """A transport on a file descriptor that the loop can poll; the owner closes it by `release`."""

    def __init__(self, fd: int, description: str, release: Callable[[], None]) -> None:
        self.description = description
        self.on_break: Callable[[], Awaitable[object]] | None = None  #: how the owner of the other end makes a BREAK
        self._fd = fd
        self._release = release
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_data: OnData = lambda data: None
        self._on_end: OnEnd = lambda reason: None
        self._sending = asyncio.Lock()
        self._writable: asyncio.Future[None] | None = None
        self._open = True
        os.set_blocking(fd, False)

    def start(self, on_data: OnData, on_end: OnEnd) -> None:
        self._on_data, self._on_end = on_data, on_end
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            # EIO is how a pty says that its other end is closed, ECONNRESET how a socket does.
            self._end("" if isinstance(error, ConnectionResetError) or error.errno == 5 else error.strerror or "")
            return
        if data:
            self._on_data(data)
        else:
            self._end("")

    def _end(self, reason: str) -> None:
        if self._open:
            self.close()
            self._on_end(reason)

    async def write(self, data: bytes) -> None:
        async with self._sending:
            view = memoryview(data)
            while view:
                if not self._open:
                    raise LineLost(f"{self.description}: the line is closed")
                try:
                    view = view[os.write(self._fd, view) :]
                except BlockingIOError:
                    await self._until_writable()
                except OSError as error:
                    raise LineLost(
                        f"{self.description}: the line ended, nothing can be sent: {error.strerror}"
                    ) from error

    async def _until_writable(self) -> None:
        loop = asyncio.get_running_loop()
        self._writable = future = loop.create_future()
        loop.add_writer(self._fd, _wake, future)
        try:
            await future
        finally:
            self._writable = None
            if self._open:
                loop.remove_writer(self._fd)

    async def send_break(self) -> None:
        if self.on_break is not None:
            await self.on_break()
            return
        raise SampanError(f"{self.description}: this line has no BREAK of its own")

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        if self._writable is not None:
            _wake(self._writable)  # the writer sees the closed line and raises
        self._release()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def socket_transport(sock: socket.socket, description: str) -> FdTransport:
    """A transport on a connected stream socket, such as one end of a socket pair."""
    return FdTransport(sock.fileno(), description, sock.close)
