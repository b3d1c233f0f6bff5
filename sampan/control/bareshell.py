"""Programs on a target that no agent can run on, through its bare shell: slow, one at a time, never wrong.

The last way there is, for a board with no sampan that nothing can be sent to. Who asks for a program
cannot tell it from an agent's session but by speed, and by what a shell cannot give: a terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
from collections.abc import Callable

from sampan.control import sendagent
from sampan.core.errors import SampanError
from sampan.serial.console import Console
from sampan.serial.mux import End, Flag, Request, Stream
from sampan.serial.session import Session

_FOR_EVER = 1e9  #: seconds; whoever asked for a program gives it up
_STDIN, _STDERR = '"$S_o.i"', '"$S_o.e"'  #: beside the file that the shell's loop keeps output in
_CTRL_C = b"\x03"


class BareChannel:
    """One program, with what a Channel of an agent has."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.on_data: Callable[[Stream, bytes], None] = lambda stream, data: None
        self.on_end: Callable[[End], None] = lambda end: None
        self.on_room: Callable[[], None] = lambda: None
        self.ended = False
        self.waiting = 0  #: nothing is sent before all of the input is here
        self.passed = 0
        self.stdin = bytearray()
        self.whole = asyncio.Event()  #: the input is
        self.signalled = 0  #: the last signal; one that comes before the program has begun ends it
        self._interrupt = interrupt

    def write(self, data: bytes) -> None:
        self.stdin += data

    def close_input(self) -> None:
        self.whole.set()

    def signal(self, number: int) -> None:
        """Any signal is Ctrl-C: a shell has no other way."""
        self.signalled = number
        self.whole.set()
        self._interrupt()

    def resize(self, rows: int, columns: int) -> None:
        """It has no terminal."""

    def close(self) -> None:
        self.signal(signal.SIGHUP)

    def consumed(self, count: int) -> None:
        """All of it was here before any was given."""

    def finish(self, end: End) -> None:
        """It is over."""
        if not self.ended:
            self.ended = True
            self.on_end(end)


class BareSession:
    """What an AgentSession gives its users, by a shell at its prompt."""

    framed = False
    codec = "shell"
    round_trip = 0.0

    def __init__(self, console: Console) -> None:
        self.console = console
        self.up = True
        self._session = Session(console)
        self._unbase = ""
        self._running: BareChannel | None = None
        self._tasks: dict[asyncio.Task[None], BareChannel] = {}
        self._turn = asyncio.Lock()
        self._known: dict[bytes, End] = {}

    @property
    def busy(self) -> bool:
        """A program runs or waits for its turn."""
        return bool(self._tasks)

    def open(self, request: Request) -> BareChannel:
        """Run a program once its input is whole; one that wants a terminal gets none, and no input."""
        request.block()  # refuses what an agent would refuse
        channel = BareChannel(lambda: self._interrupt(channel))
        if request.flags & Flag.TERMINAL:
            channel.close_input()
        task = asyncio.get_running_loop().create_task(self._run(channel, request))
        self._tasks[task] = channel
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return channel

    def kick(self) -> None:
        """Nothing is queued here."""

    def _interrupt(self, channel: BareChannel) -> None:
        if self._running is channel:
            asyncio.get_running_loop().create_task(self.console.write(_CTRL_C))

    async def _run(self, channel: BareChannel, request: Request) -> None:
        await channel.whole.wait()
        async with self._turn:
            try:
                channel.finish(self._known.get(request.ident) or await self._ended(channel, request))
            except SampanError as error:
                self.up = False  # where the shell is now is found out anew
                channel.finish(End(125, failure=error.message))

    async def _ended(self, channel: BareChannel, request: Request) -> End:
        session = self._session
        if channel.stdin and not channel.signalled:
            await sendagent.write(session, bytes(channel.stdin), _STDIN, await self._decoder())
            if channel.signalled:
                await session.run(f"rm -f {_STDIN}", _FOR_EVER)
        if channel.signalled:
            return End(0, channel.signalled)
        variables = [f"{name}={shlex.quote(value)}" for name, value in request.environment.items()]
        words = ["sampan", *request.words] if request.flags & Flag.VERB else request.words
        command = " ".join([*variables, *map(shlex.quote, words)])
        given = f"<{_STDIN} " if channel.stdin else ""
        self._running = channel
        try:
            said = await session.run(f"{command} {given}2>{_STDERR}", _FOR_EVER)
        finally:
            self._running = None
        errors = await session.run(f"cat {_STDERR}; rm -f {_STDIN} {_STDERR}", _FOR_EVER)
        for stream, data in ((Stream.STDOUT, said.raw), (Stream.STDERR, errors.raw)):
            if data:
                channel.on_data(stream, data)
        if request.ident:
            self._known[request.ident] = End(said.status, repeated=True)
        return End(said.status)

    async def _decoder(self) -> str:
        """What the target decodes base64 with; "" when it cannot."""
        if not self._unbase:
            look = "for t in base64 'busybox base64';do [ \"$(echo YQ==|$t -d 2>/dev/null)\" = a ]&&echo $t&&break;done"
            found = (await self._session.run(look, _FOR_EVER)).output.strip()
            self._unbase = f"{found} -d" if found else ""
        return self._unbase

    def lost(self, reason: str) -> None:
        """The owner of the line knows that it is over."""
        self.up = False
        for channel in list(self._tasks.values()):
            channel.finish(End(125, failure=reason))

    async def leave(self) -> None:
        """Give the line back to its login shell."""
        await self.stop()
        with contextlib.suppress(SampanError):
            await self._session.leave()

    async def stop(self) -> None:
        """End what runs, and nothing more."""
        self.lost("the session was ended")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
