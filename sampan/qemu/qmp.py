"""QMP on a socket pair: commands, and the events that tell why a machine stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from qemu.qmp import EventListener, Message, QMPClient, QMPError

from sampan.core.errors import SampanError

# The library reports on stderr what it also raises.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)


class QmpError(SampanError):
    """A QMP command that QEMU refused, or that could not be sent any more."""


class Qmp:
    """One QMP connection. Every event goes to `on_event` (name, data)."""

    def __init__(self, on_event: Callable[[str, Mapping[str, object]], None]) -> None:
        self._client = QMPClient("sampan")
        self._listener = EventListener()
        self._on_event = on_event
        self._watching: asyncio.Task[None] | None = None

    async def connect(self, where: socket.socket | Path) -> bool:
        """Greet QEMU on a connected socket or at a socket's path; False when it is not there any more."""
        self._client.register_listener(self._listener)
        if isinstance(where, socket.socket):
            where.setblocking(False)
        try:
            await self._client.connect(where if isinstance(where, socket.socket) else str(where))
        except QMPError:
            return False
        self._watching = asyncio.create_task(self._watch())
        return True

    async def _watch(self) -> None:
        async for event in self._listener:
            self._deliver(event)

    def _deliver(self, event: Message) -> None:
        data = event.get("data")
        self._on_event(str(event["event"]), data if isinstance(data, dict) else {})

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Run one command and return its answer."""
        try:
            return await self._client.execute(command, dict(arguments or {}))
        except QMPError as error:
            # After QEMU's end the library raises StateError or ExecInterruptedError.
            raise QmpError(f"QMP {command}: {error}") from error

    async def close(self) -> None:
        """Read what QEMU said last, then let go. Harmless when repeated."""
        if self._watching is None:
            return
        watching, self._watching = self._watching, None
        # disconnect() raises the EOFError of QEMU's ordinary end, here and nowhere else.
        with contextlib.suppress(EOFError, OSError, QMPError):
            await self._client.disconnect()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        for event in self._listener.clear():
            self._deliver(event)
