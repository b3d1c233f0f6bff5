"""One client of a line's broker: a program on the target, or a person's terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from sampan.control.bringup import Login
from sampan.control.packets import Kind, Nonsense, Unpacker, pack
from sampan.control.programs import Program, Programs, asked
from sampan.core.errors import SampanError
from sampan.serial.errors import ConsoleError
from sampan.serial.mux import End, Stream

if TYPE_CHECKING:
    from sampan.control.broker import Broker

_INPUT_WAITS = 65536  #: bytes of a client's stdin that wait for the line
_TELL_EVERY = 0.1  #: seconds between two reports of how much has passed
_BEHIND = 1 << 20  #: bytes of the console that a terminal may be behind


class Visitor:
    """One connection: one request."""

    def __init__(self, broker: Broker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.broker = broker
        self.who = "?"  #: program and pid
        self.doing = ""  #: for the others at the line
        self.answers = False  #: a real terminal, which answers where its cursor is
        self._reader = reader
        self._writer = writer
        self._unpacker = Unpacker()
        self._packets: list[tuple[Kind, bytes]] = []
        self._room = asyncio.Event()
        self._unsent = 0
        self._told = 0.0
        self._missed = 0

    # ---- packets

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        if not self._writer.is_closing():
            self._writer.write(pack(kind, payload))

    def note(self, text: str) -> None:
        self.send(Kind.NOTE, text.encode())

    def end(self, **record: object) -> None:
        self.send(Kind.END, json.dumps(record).encode())

    def fail(self, error: SampanError) -> None:
        self.send(Kind.FAILURE, record_of(error))

    async def _packet(self) -> tuple[Kind, bytes] | None:
        """The next packet; None at the end."""
        while not self._packets:
            try:
                data = await self._reader.read(65536)
                self._packets += self._unpacker.feed(data)
            except (OSError, Nonsense):
                return None
            if not data:
                return None
        return self._packets.pop(0)

    async def serve(self) -> None:
        first = await self._packet()
        if first is None or first[0] != Kind.REQUEST:
            return
        request = json.loads(first[1])
        self.who = str(request.get("who", "?"))
        login = Login(**request.get("login", {}))
        try:
            if request["do"] == "run":
                await self._run(request, login)
            elif request["do"] == "terminal":
                self.answers = bool(request.get("tty"))
                await self._terminal(watch=bool(request.get("watch")))
            elif request["do"] == "end":
                self.broker.end(self, int(request["baud"]))
            elif request["do"] == "info":
                session = await self.broker.agent(self, login)
                self.end(codec=session.codec, round_trip=session.round_trip)
        except SampanError as error:
            self.fail(error)

    # ---- a program

    async def _run(self, request: dict[str, Any], login: Login) -> None:
        self.doing = " ".join(request["words"][:4])[:60]
        session = await self.broker.agent(self, login)
        channel = session.open(asked(request))
        done: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        channel.on_data = lambda stream, data: self._output(channel, session, stream, data)
        channel.on_end = lambda end: None if done.done() else done.set_result(end)
        channel.on_room = lambda: self._has_room(channel, tell=bool(request.get("passed")))
        feeding: asyncio.Future[None] = asyncio.ensure_future(self._feed(channel, session))
        waiting: set[asyncio.Future[Any]] = {done, feeding}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():  # the client is gone
                channel.close()
                session.kick()
                return
            end = done.result()
            if end.failure:
                raise SampanError(end.failure) if session.up else await self.broker.lost(end.failure)
            self.end(status=end.exit_code, repeated=end.repeated)
        finally:
            feeding.cancel()
            self.broker.touch()

    def _has_room(self, channel: Program, *, tell: bool) -> None:
        self._room.set()
        now = asyncio.get_running_loop().time()
        if tell and now - self._told >= _TELL_EVERY:
            self._told = now
            self.send(Kind.PASSED, b"%d" % channel.passed)

    def _output(self, channel: Program, session: Programs, stream: Stream, data: bytes) -> None:
        self.send(Kind.STDOUT if stream == Stream.STDOUT else Kind.STDERR, data)
        # Credit goes back when the client has taken it: its pipe holds up its program alone.
        self._unsent += len(data)
        if self._writer.transport.get_write_buffer_size() == 0:
            channel.consumed(self._unsent)
            self._unsent = 0
        else:
            asyncio.ensure_future(self._drained(channel, session))

    async def _drained(self, channel: Program, session: Programs) -> None:
        with contextlib.suppress(OSError):
            await self._writer.drain()
        count, self._unsent = self._unsent, 0
        channel.consumed(count)
        session.kick()

    async def _feed(self, channel: Program, session: Programs) -> None:
        """The client's input, as fast as the line takes it."""
        while (item := await self._packet()) is not None:
            kind, payload = item
            if kind == Kind.INPUT:
                channel.write(payload)
            elif kind == Kind.EOF:
                channel.close_input()
            elif kind == Kind.SIGNAL:
                channel.signal(payload[0])
            elif kind == Kind.SIZE:
                rows, columns = payload.split()
                channel.resize(int(rows), int(columns))
            session.kick()
            while channel.waiting > _INPUT_WAITS and not channel.ended:
                self._room.clear()
                await self._room.wait()

    # ---- a terminal

    async def _terminal(self, *, watch: bool) -> None:
        """The console itself: everything that is no frame, and keys of who has the keyboard."""
        keyboard = self.broker.keyboard
        stop = self.broker.console.tap(self._show)
        self.broker.terminals.add(self)
        try:
            self._show(self.broker.recent())
            if watch:
                self.note("watching: Ctrl-a t takes the keyboard")
            elif not keyboard.take(self):
                self.note(f"{keyboard.holder} has the keyboard: you watch; Ctrl-a t takes it")
            else:
                await self.broker.leave_agent()
            while (item := await self._packet()) is not None:
                await self._typed(*item)
        finally:
            self.broker.terminals.discard(self)
            keyboard.release(self)
            stop()

    async def _typed(self, kind: Kind, payload: bytes) -> None:
        keyboard = self.broker.keyboard
        if kind == Kind.COMMAND and payload == b"t":
            keyboard.take(self, force=True)
            self.note("you have the keyboard")
        elif kind == Kind.COMMAND and payload == b"b":
            try:
                await self.broker.console.send_break()
                self.note("BREAK sent")
            except SampanError as error:
                self.note(error.message)
        elif kind == Kind.INPUT and keyboard.has(self):
            await self.broker.type(self, payload)
        elif kind == Kind.INPUT and not payload.startswith(b"\x1b["):  # else it is a tty's own answer
            self.note(f"you watch{keyboard.other(self)}: Ctrl-a t takes the keyboard")

    def _show(self, data: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > _BEHIND:
            self._missed += len(data)
            return
        if self._missed:
            self.note(f"{self._missed} bytes were not shown: this terminal stood still")
            self._missed = 0
        self.send(Kind.STDOUT, self.broker.for_terminals(data))


class Keyboard:
    """Which terminal of a line is typed at. There is one at most; the others watch."""

    def __init__(self) -> None:
        self._holder: Visitor | None = None

    @property
    def holder(self) -> str:
        """Program and pid of the terminal, or ""."""
        return self._holder.who if self._holder else ""

    @property
    def answers(self) -> bool:
        """Is it typed at by a real terminal?"""
        return self._holder is not None and self._holder.answers

    def has(self, visitor: Visitor) -> bool:
        return self._holder is visitor

    def other(self, visitor: Visitor) -> str:
        return f", {self.holder} types" if self._holder not in (None, visitor) else ""

    def take(self, visitor: Visitor, *, force: bool = False) -> bool:
        """Whether the visitor has it now; it is taken from somebody else only by force."""
        before = self._holder
        if before not in (None, visitor) and not force:
            return False
        self._holder = visitor
        if before is not None and before is not visitor:
            before.note(f"{visitor.who} took the keyboard: you watch; Ctrl-a t takes it back")
        return True

    def release(self, visitor: Visitor) -> None:
        if self._holder is visitor:
            self._holder = None


def record_of(error: SampanError) -> bytes:
    """An error for a FAILURE packet. The client words it: it knows what its user sees of which path."""
    reason = str(getattr(error, "reason", ""))
    record: dict[str, object] = {"message": error.message, "hint": error.hint, "code": error.code, "reason": reason}
    if isinstance(error, ConsoleError) and error.log:
        record |= {"message": error.what, "tail": error.tail, "log": str(error.log)}
    return json.dumps(record).encode()
