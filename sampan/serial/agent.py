"""A session with the agent on a console: what the pure link and mux need of a real line and clock.

The console keeps what is no frame: its log, its watchers, its panic detector. All methods belong
to the console's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from sampan.core.errors import SampanError
from sampan.serial.clock import Deadline
from sampan.serial.console import Console
from sampan.serial.errors import ConsoleError, SessionLost
from sampan.serial.link import FLUSH, Data, Left, Link, Peer, Refused, Taken, Text, Up
from sampan.serial.mux import Channel, Mux, Request

SHORTEST_WAIT = 0.001
DEAD_SECONDS = 6.0  #: of the machine's clock without any frame: the agent or the line is gone
HELLO_SECONDS = 5.0
_POLL = 0.2


class NoAgent(ConsoleError):
    """Nobody on the line speaks the serial protocol."""


class OtherVersion(SampanError):
    """The agent speaks only other versions of the protocol."""


class AgentSession:
    """One session. `on_down` is called once when it ends by itself, with the reason."""

    framed = True  #: what programs say is no text on the line

    def __init__(self, console: Console) -> None:
        self.console = console
        self.mux = Mux()
        self.peer: Peer | None = None
        self.on_down: Callable[[str], None] = lambda reason: None
        loop = asyncio.get_running_loop()
        self.link = Link("host", self.mux.source, loop.time())
        self._loop = loop
        self._kick = asyncio.Event()
        self._changed = asyncio.Event()
        self._failure: SampanError | None = None
        self._heard = console.clock.now()
        self._last_heard_at = self.link.heard_at
        self._pump_task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self, timeout: float = HELLO_SECONDS) -> Peer:
        """Find the agent. Raises NoAgent or OtherVersion."""
        self.link.open(self._loop.time())
        self.console.filter = self._on_bytes
        self._pump_task = self._loop.create_task(self._pump())
        deadline = Deadline(self.console.clock, timeout)
        while self.peer is None and self._failure is None and deadline.left > 0 and not self.console.ended:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(_POLL, deadline.left))
        if self.peer is None:
            await self.stop()
            raise self._failure or self.console.error(NoAgent, f"no agent answered within {timeout:g} s")
        return self.peer

    @property
    def up(self) -> bool:
        return self.link.up

    @property
    def busy(self) -> bool:
        """A program runs."""
        return bool(self.mux.channels)

    @property
    def codec(self) -> str:
        return self.link.codec

    @property
    def round_trip(self) -> float:
        """Seconds."""
        return self.link.flight.round_trip

    # ---- programs

    def open(self, request: Request) -> Channel:
        """Run a program, or with Flag.VERB a verb of sampan. SampanError when that cannot be asked for."""
        if not self.link.up:
            raise self.console.error(SessionLost, "the agent is gone")
        channel = self.mux.open(request)
        self.link.interactive = self.mux.interactive
        self.kick()
        return channel

    def kick(self) -> None:
        """Something was queued on a channel."""
        self._kick.set()

    # ---- the line

    def _on_bytes(self, data: bytes) -> bytes:
        """The console's filter: takes the frames out, gives the text back."""
        text = b""
        for event in self.link.receive(data, self._loop.time()):
            if isinstance(event, Data):
                self.mux.receive(event.channel, event.payload)
                self.link.interactive = self.mux.interactive
            elif isinstance(event, Text):
                text += event.data
            elif isinstance(event, Up):
                self.peer = event.peer
                self._changed.set()
            elif isinstance(event, Refused):
                self._failure = OtherVersion(
                    f"the agent speaks versions {event.lowest} to {event.highest} of the protocol, this program 1",
                    hint="use a sampan of the image's age, or update the image",
                )
                self._changed.set()
            elif isinstance(event, Taken):
                self._go_down("another host on this line has taken the agent")
            elif isinstance(event, Left):
                self._go_down("the agent has left the line")
        if self.link.heard_at != self._last_heard_at:
            self._last_heard_at, self._heard = self.link.heard_at, self.console.clock.now()
        self._kick.set()
        return text

    async def _pump(self) -> None:
        """Write what the link wants to send, when it wants to."""
        while not self._stopping:
            now = self._loop.time()
            out = self.link.transmit(now)
            if out:
                try:
                    await self.console.transport.write(out)
                except SampanError as error:
                    self._go_down(error.message)
                    return
                continue
            text = self.link.flush(now)
            if text:
                self.console.hear(text)
            if self.link.up and self.console.clock.now() - self._heard > DEAD_SECONDS:
                self._go_down(f"nothing was heard of the agent for {DEAD_SECONDS:g} s")
                return
            self._kick.clear()
            wait = min(self.link.wake() - self._loop.time(), FLUSH if self.link.decoder.holding else 1.0)
            with contextlib.suppress(TimeoutError):
                # Never none at all: a link that is due but has nothing to say must not hold the loop.
                await asyncio.wait_for(self._kick.wait(), max(wait, SHORTEST_WAIT))

    def _go_down(self, reason: str) -> None:
        if self.link.up or self.mux.channels:
            self.link.up = False
            self.console.log.note(reason)
        self.mux.fail(reason)
        self.on_down(reason)
        self._changed.set()

    def lost(self, reason: str) -> None:
        """The owner of the line knows that the session is over (the line ended, the board panicked)."""
        self._go_down(reason)

    async def leave(self) -> None:
        """End the session: the agent gives the line back to its shell."""
        if self.link.up:
            self.link.leave(self._loop.time())
            with contextlib.suppress(SampanError):
                await self.console.transport.write(self.link.transmit(self._loop.time()))
        await self.stop()

    async def stop(self) -> None:
        """Give the console back; the agent is not told."""
        self.mux.fail("the session was ended")
        # Not cancelled: wait_for() may swallow that. A line that takes nothing more must not hold us, though.
        self._stopping = True
        self._kick.set()
        if self._pump_task is not None:
            _, late = await asyncio.wait([self._pump_task], timeout=1.0)
            for task in late:
                task.cancel()
            self._pump_task = None
        if self.console.filter == self._on_bytes:
            self.console.filter = None
        self.link.up = False
