"""What runs programs on a target over one line, whoever does it there: an agent, or a bare shell.

sampan.serial.agent and sampan.control.bareshell are the two; nobody can tell but by speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sampan.serial.console import Console
from sampan.serial.mux import End, Flag, Request, Stream


class Program(Protocol):
    """One program. `on_data` gets its output, `on_end` how it ended; `consumed` asks for more."""

    on_data: Callable[[Stream, bytes], None]
    on_end: Callable[[End], None]
    on_room: Callable[[], None]  #: less input waits than before

    @property
    def ended(self) -> bool: ...

    @property
    def waiting(self) -> int:
        """Bytes of input that have not left yet."""

    @property
    def passed(self) -> int:
        """Bytes of input that have."""

    def write(self, data: bytes) -> None: ...

    def close_input(self) -> None: ...

    def signal(self, number: int) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def close(self) -> None:
        """Nobody wants it any more."""

    def consumed(self, count: int) -> None: ...


class Programs(Protocol):
    """A session that runs them."""

    @property
    def console(self) -> Console: ...

    @property
    def framed(self) -> bool:
        """What programs say is no text on the line."""

    @property
    def codec(self) -> str: ...

    @property
    def round_trip(self) -> float:
        """Seconds."""

    @property
    def up(self) -> bool: ...

    @property
    def busy(self) -> bool:
        """A program runs or waits for its turn."""

    def open(self, request: Request) -> Program:
        """Run a program. SampanError when that cannot be asked for."""

    def kick(self) -> None:
        """Something was queued on a program."""

    def lost(self, reason: str) -> None:
        """The owner of the line knows that the session is over."""

    async def leave(self) -> None:
        """End the session: the line is its shell's again."""

    async def stop(self) -> None:
        """End it without a word to the target."""


def asked(request: Mapping[str, Any]) -> Request:
    """What a client wants run (sampan.control.calls and others word it), for `open`."""
    flags = sum(flag for flag in Flag if request.get(flag.name.lower()))
    rows, columns = request.get("size") or (24, 80)
    ident = bytes.fromhex(request.get("ident", ""))
    return Request(list(request["words"]), request.get("environment") or {}, flags, rows, columns, ident)
