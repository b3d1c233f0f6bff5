"""The console of one machine: drained always, logged, watched for a panic, shared by its users.

From `start` on every byte is taken off the line, whoever asks for it or not: an unread PL011
freezes the whole emulator, and a board's last words are worth the most when nobody listened.
All methods belong to one asyncio loop; `sampan.serial.sync` is the same for ordinary code.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, TypeVar

from sampan.core.errors import SampanError
from sampan.serial.clock import Clock, Deadline, WallClock
from sampan.serial.errors import ConsoleError, ExpectTimeout, KernelPanic
from sampan.serial.log import LineLog
from sampan.serial.matcher import Match, Matcher
from sampan.serial.transport import Transport

#: A busybox shell asks where the cursor is after each prompt and waits for the answer; vi asks for the size so.
_CURSOR_QUESTION = b"\x1b[6n"
_CURSOR_ANSWER = b"\x1b[24;80R"
_PANIC = b"Kernel panic - not syncing"
_POLL = 0.2  #: wall seconds between two looks at a clock that may stand still
_LAST_WORDS = 0.5  #: seconds given to what follows a panic's first line

_Error = TypeVar("_Error", bound=ConsoleError)
Tap = Callable[[bytes], None]
#: Takes what a protocol on the line wants for itself, gives back what is for people.
Filter = Callable[[bytes], bytes]
#: Tells why the line ended; the owner of a machine knows more than the line does.
Explain = Callable[[], Awaitable[SampanError | None]]


class Console:
    """One line with one owner. `clock` is what its time-outs run on."""

    def __init__(self, transport: Transport, log: LineLog, clock: Clock | None = None) -> None:
        self.transport = transport
        self.log = log
        self.clock: Clock = clock or WallClock()
        self.explain: Explain | None = None
        self.filter: Filter | None = None  #: while an agent shares the line
        self.answers_cursor = True  #: false while a terminal that answers by itself is attached
        self._matcher = Matcher()
        self._changed = asyncio.Event()
        self._taps: list[Tap] = []
        self.sent = 0  #: bytes written so far, for who asks what of the answer is an echo
        self._ended: str | None = None
        self._panic = Panic()
        self._recent = b""
        self._replies: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to drain the line. On the loop."""
        self.transport.start(self._on_bytes, self._on_end)

    def tap(self, tap: Tap) -> Callable[[], None]:
        """Give `tap` every byte that arrives from now on; returns what ends it."""
        self._taps.append(tap)
        return lambda: self._taps.remove(tap)

    @property
    def ended(self) -> bool:
        """The other side has closed the line."""
        return self._ended is not None

    @property
    def received(self) -> int:
        """Bytes that have arrived since the start."""
        return self._matcher.received

    @property
    def panicked(self) -> str:
        """The kernel's panic line, or ""."""
        return self._panic.line

    def _on_bytes(self, data: bytes) -> None:
        text = self.filter(data) if self.filter else data
        if text:
            self.hear(text)

    def hear(self, data: bytes) -> None:
        """Text of the board: to the log, to who watches, to who waits for it."""
        self.log.write("<", data)
        self._matcher.feed(data)
        self._panic.feed(data)
        for tap in list(self._taps):
            tap(data)
        if self.answers_cursor:
            self._answer_cursor(data)
        self._changed.set()

    def _answer_cursor(self, data: bytes) -> None:
        seen = self._recent + data
        for _ in range(seen.count(_CURSOR_QUESTION)):
            self._in_background(self.transport.write(_CURSOR_ANSWER))
        end = seen.rfind(_CURSOR_QUESTION)
        rest = seen if end < 0 else seen[end + len(_CURSOR_QUESTION) :]
        self._recent = rest[-(len(_CURSOR_QUESTION) - 1) :]

    def _in_background(self, sending: Awaitable[None]) -> None:
        async def send() -> None:
            with contextlib.suppress(SampanError):  # a lost line shows itself to whoever waits on it
                await sending

        task = asyncio.get_running_loop().create_task(send())
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    def _on_end(self, reason: str) -> None:
        self._ended = reason
        self.log.note(f"the line ended{': ' + reason if reason else ''}")
        self._changed.set()

    async def write(self, data: bytes | str) -> None:
        """Send bytes as they are."""
        raw = data.encode() if isinstance(data, str) else data
        self.log.write(">", raw)
        self.sent += len(raw)
        try:
            await self.transport.write(raw)
        except SampanError:
            if self._ended is not None or self.explain is not None:
                await self.fail_ended()
            raise

    async def send_break(self) -> None:
        """BREAK: with a following letter, SysRq."""
        self.log.note("BREAK")
        await self.transport.send_break()

    async def expect(self, needles: Sequence[bytes], timeout: float) -> Match:
        """Wait until one of `needles` has arrived and consume up to it.

        The needle that ends first in the stream wins. Raises ExpectTimeout after `timeout`
        seconds of the console's clock, KernelPanic, or why the line ended.
        """
        match = await self.poll(needles, Deadline(self.clock, timeout))
        if match is None:
            wanted = " or ".join(repr(needle.decode(errors="replace")) for needle in needles)
            raise self.error(ExpectTimeout, f"{wanted} did not come within {timeout:g} s")
        return match

    async def poll(self, needles: Sequence[bytes], deadline: Deadline) -> Match | None:
        """As `expect`, but None when the time is over."""
        while True:
            self._changed.clear()
            match = self._matcher.take(needles)
            if match is not None:
                return match
            if self._panic.line:
                await self._let_speak()
                raise self.error(KernelPanic, f"the kernel panicked: {self._panic.line}")
            if self._ended is not None:
                await self.fail_ended()
            left = deadline.left
            if left <= 0:
                return None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(_POLL, left))

    def rebooted(self) -> None:
        """The machine starts anew: an earlier panic is no reason to fail any more."""
        self._panic = Panic()

    def clear(self) -> bytes:
        """Forget (and return) what has arrived and was not asked for."""
        return self._matcher.clear()

    async def _let_speak(self) -> None:
        """A panic's reason and trace follow its first line; they belong in the message."""
        deadline = Deadline(WallClock(), _LAST_WORDS)
        while self._ended is None and deadline.left > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), deadline.left)

    async def fail_ended(self) -> NoReturn:
        """Raise why the line ended: the owner's reason when there is one."""
        if self._panic.line:
            raise self.error(KernelPanic, f"the kernel panicked: {self._panic.line}")
        error = await self.explain() if self.explain else None
        raise error or self.error(ConsoleError, f"{self.transport.description}: the line ended {self._ended}".rstrip())

    def error(self, kind: type[_Error], what: str, hint: str = "") -> _Error:
        return kind(what, tail=self.log.tail(), log=self.log.path, hint=hint)

    def close(self) -> None:
        """Give the line back and close the log; harmless when repeated."""
        self.transport.close()
        if self._ended is None:
            self._ended = "closed"
            self._changed.set()
        self.log.close()


class Panic:
    """Notices a kernel panic in a stream that arrives in pieces."""

    def __init__(self) -> None:
        self.line = ""
        self._rest = b""

    def feed(self, data: bytes) -> None:
        if self.line:
            return
        text = self._rest + data
        start = text.find(_PANIC)
        if start < 0:
            self._rest = text[-len(_PANIC) + 1 :]
            return
        end = text.find(b"\n", start)
        if end < 0:
            self._rest = text[start : start + 1024]
            return
        self.line = text[start:end].decode(errors="replace").strip()
