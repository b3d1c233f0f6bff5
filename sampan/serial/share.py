"""A console for several programs at once: a unix socket that gives every client all of its bytes.

The console stays with its owner, which drains and logs it whatever the clients do. A client that
does not read is dropped when its share is full: it must not stop the machine, and half of the
bytes would be worse than none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from sampan.core.errors import SampanError
from sampan.serial.console import Console

_PROMPT = 256  #: bytes of an unfinished line that a new client gets: a prompt, most often
_BEHIND = 4 << 20  #: bytes a client may be behind


class ConsoleShare:
    """Serves `console` at a socket. On the console's loop."""

    def __init__(self, console: Console, path: Path) -> None:
        self._console = console
        self._path = path
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._answered = True
        self._prompt = b""  #: the line that is not ended yet
        self._stop_tap = console.tap(self._on_data)

    async def start(self) -> None:
        """Begin to listen; only this user may connect."""
        old = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        finally:
            os.umask(old)

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[writer] = task
        # A terminal answers the shell's question for the cursor itself; two answers are one too many.
        if len(self._clients) == 1:
            self._answered, self._console.answers_cursor = self._console.answers_cursor, False
        writer.write(self._prompt)
        try:
            while data := await reader.read(65536):
                await self._console.write(data)
        except (OSError, SampanError, asyncio.CancelledError):
            pass  # the client or the line is gone
        finally:
            self._drop(writer)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        if self._clients.pop(writer, None) and not self._clients:
            self._console.answers_cursor = self._answered
        writer.close()

    def _on_data(self, data: bytes) -> None:
        self._prompt = (self._prompt + data)[-_PROMPT:].rpartition(b"\n")[2]
        for writer in list(self._clients):
            if writer.transport.get_write_buffer_size() > _BEHIND:
                self._console.log.note("a client of the console does not read: dropped")
                writer.transport.abort()
                continue
            writer.write(data)

    async def close(self) -> None:
        """Let the clients have what is theirs, and end."""
        self._stop_tap()
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._clients.values())
        for writer in list(self._clients):
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.5)
            self._drop(writer)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)
