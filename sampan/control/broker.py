"""The owner of one line: drains it, logs it, runs the agent's session, and serves clients at a socket.

A client's end never drops the line. The agent is left when nobody has used it for a while, so that
the shell is a person's again; the broker itself ends later, or when the line does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sys

import msgspec

from sampan.control import bringup
from sampan.control.lines import LinePlace, Owner
from sampan.control.programs import Programs
from sampan.control.sideline import SideLine
from sampan.control.visitor import Keyboard, Visitor, record_of
from sampan.core.errors import SampanError
from sampan.core.files import write_bytes
from sampan.serial.clock import Deadline
from sampan.serial.console import Console
from sampan.serial.log import LineLog
from sampan.serial.ports import open_port

AGENT_IDLE = 20.0  #: seconds after the last program until the agent gives the line back
BROKER_IDLE = 60.0  #: seconds without a client until the broker ends
_LOCK_LOOK, _LOCK_TRIES = 0.05, 100  #: seconds; an owner that has said goodbye needs two at most
_LOG_MAX = 4 << 20  #: bytes; with the older ones five times as much
_RECENT = 4096  #: bytes of the console that a new terminal begins with
_LAST_WORDS = 5.0  #: seconds for telling clients why the line ended
_LOST_LOOKS = 5  #: tenths of a second
_LEFT = b"sampan agent: "  #: what the agent says when the line is the shell's again
_LEFT_SECONDS = 1.5
_CURSOR_QUESTION = b"\x1b[6n"
#: What no line says while an agent serves it, unless the board was reset.
_BOOTS = (b"Linux version ", b"U-Boot ", b" login: ")


class Broker:
    """One line and its clients. On one loop."""

    def __init__(self, console: Console, baud: int, side: SideLine) -> None:
        self.console = console
        self.side = side
        self.keyboard = Keyboard()
        self.terminals: set[Visitor] = set()
        self._baud = baud
        self._session: Programs | None = None
        self._starting = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._used = self._loop.time()
        self._visitors: dict[asyncio.Task[None], Visitor] = {}
        self._over = False
        self._panic = ""  #: of a board that has not come back since
        self._recent = b""
        self._hush = False  #: terminals are shown nothing
        console.tap(self._watch)

    # ---- the agent

    async def agent(self, visitor: Visitor, login: bringup.Login) -> Programs:
        """The session, begun when there is none."""
        async with self._starting:
            self.touch()
            if self._session is not None and self._session.up:
                return self._session
            if self._session is not None:
                await self._session.stop()
                self._session = None
            self._session = await self.side.agent(visitor.note)
            if self._session is not None:
                return self._session
            if self.console.panicked:
                self._panic = self.console.panicked
                self.console.rebooted()
            await bringup.refuse_if_typing(self.keyboard.holder, lambda: _last_line(self._recent))
            state = bringup.State(self._panic, self._recent, self._hushed)
            for terminal in self.terminals:
                terminal.note(f"an agent takes the line, for {visitor.who}: {visitor.doing}")
            try:
                self._session = await bringup.agent_on(self.console, login, visitor.note, state)
            finally:
                self._hush = False
            self._panic = ""
            return self._session

    @property
    def _aside(self) -> bool:
        """The agent has a line of its own: there is nothing to give back, and nobody waits."""
        return self._session is not None and self._session.console is not self.console

    def touch(self) -> None:
        """Somebody uses the line now."""
        self._used = self._loop.time()

    @property
    def busy(self) -> list[str]:
        """What programs run over the line."""
        return [visitor.doing for visitor in self._visitors.values() if visitor.doing]

    async def leave_agent(self) -> None:
        """Give the line back to its shell, unless a program runs."""
        async with self._starting:
            if self._session is not None and not self._session.busy and not self._aside:
                session, self._session = self._session, None
                self.console.clear()
                await session.leave()
                # Only then is the line the shell's: until then the agent drops what is typed.
                with contextlib.suppress(SampanError):
                    await self.console.poll([_LEFT], Deadline(self.console.clock, _LEFT_SECONDS))

    async def lost(self, said: str) -> SampanError:
        """Why a program's session ended; the end of the line explains more than what broke first."""
        for _ in range(_LOST_LOOKS):
            if self.console.ended:
                break
            await asyncio.sleep(0.1)
        error = SampanError(said)
        if self.console.ended:
            try:
                await self.console.fail_ended()
            except SampanError as found:
                error = found
        error.hint = "; ".join(filter(None, ["how far the command came is unknown", error.hint]))
        return error

    def _watch(self, data: bytes) -> None:
        """Notices on the console that the agent's session is over."""
        seen = self._recent[-16:] + data
        self._recent = (self._recent + data)[-_RECENT:]
        # Whoever types answers the shell's question for the cursor; while nobody may, we do.
        self.console.answers_cursor = self._starting.locked() or not self.keyboard.answers
        session = self._session
        if session is None or not session.up:
            return
        if self.console.panicked:
            session.lost(f"the kernel panicked: {self.console.panicked}")
        elif session.framed and any(words in seen for words in _BOOTS):
            session.lost("the board has rebooted")

    # ---- terminals

    def recent(self) -> bytes:
        """What the console showed last, from the beginning of a line."""
        text = self._recent
        return text if len(text) < _RECENT else text.partition(b"\n")[2]

    def for_terminals(self, data: bytes) -> bytes:
        """What a person need not see is taken out: how an agent is looked for and begun, answered questions."""
        if self._hush:
            return b""
        return data.replace(_CURSOR_QUESTION, b"") if self.console.answers_cursor else data

    def _hushed(self, hush: bool) -> None:
        self._hush = hush

    async def type(self, visitor: Visitor, keys: bytes) -> None:
        """A person's keys; they wait while programs run over the line."""
        told = False
        while self._session is not None and self._session.up and not self._aside:
            if not self._session.busy:
                await self.leave_agent()
                continue
            if not told:
                visitor.note(f"your keys wait until the line is free of: {', '.join(self.busy)}")
                told = True
            await asyncio.sleep(0.05)
        async with self._starting:
            await self.console.transport.write(keys)  # not to the log: it may be a password

    # ---- life

    def end(self, visitor: Visitor, baud: int) -> None:
        """Close the line, for somebody who wants it at another rate."""
        others = [other.who for other in self._visitors.values() if other is not visitor]
        if others:
            raise SampanError(
                f"the line is open at {self._baud} baud and in use ({'; '.join(others)})",
                hint=f"?baud={self._baud}, or end that program first",
            )
        self._over = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        visitor = self._visitors[task] = Visitor(self, reader, writer)
        try:
            await visitor.serve()
            with contextlib.suppress(OSError):
                await writer.drain()
            while self._over:  # its end is our answer
                await asyncio.sleep(1.0)
        finally:
            del self._visitors[task]
            self.touch()
            writer.close()

    async def run(self, place: LinePlace, ready: int) -> None:
        """Serve until the line ends or nobody has come for a while."""
        old = os.umask(0o177)
        place.socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self.serve, place.socket)
        os.umask(old)
        os.write(ready, b"ready\n")
        os.close(ready)
        while not (self.console.ended or self._over):
            await asyncio.sleep(0.1 if self.terminals else 0.5)
            idle = self._loop.time() - self._used
            if self._session is not None and not self._session.busy and idle > AGENT_IDLE:
                await self.leave_agent()
            if not self._visitors and idle > BROKER_IDLE:
                break
        place.socket.unlink(missing_ok=True)
        server.close()
        await self._say_end()
        self.side.close()

    async def _say_end(self) -> None:
        """Everybody who is here is told why the line ended."""
        why: SampanError | None = None
        if self.console.ended:
            try:
                await self.console.fail_ended()
            except SampanError as error:
                why = error
        if self._session is not None:
            if why is not None:
                self._session.lost(why.message.partition("\n")[0])
            await (self._session.stop() if self._aside else self._session.leave())
        for visitor in list(self.terminals):
            visitor.fail(why or SampanError("the line was closed"))
        if self._visitors and not self._over:
            await asyncio.wait(self._visitors, timeout=_LAST_WORDS)


def _last_line(recent: bytes) -> str:
    text = recent.replace(_CURSOR_QUESTION, b"").rpartition(b"\n")[2]
    return text.decode(errors="replace").strip("\r")


async def _take(place: LinePlace) -> bool:
    """Lock the line until we end. Whoever holds it and serves nobody any more is about to end, and waited for."""
    for _ in range(_LOCK_TRIES):
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # its last owner took the folder along
            lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(place.lock).st_ino == os.fstat(lock).st_ino:
                    return True
            except BlockingIOError:
                if place.socket.exists():
                    os.close(lock)
                    return False
            os.close(lock)
        await asyncio.sleep(_LOCK_LOOK)
    return False


def _forget(place: LinePlace, machine: str) -> None:
    """A machine that is gone from the list takes the folder of its line along."""
    from sampan.qemu.places import Place

    if Place(machine).read() is None:
        shutil.rmtree(place.folder, ignore_errors=True)


async def _main(url: str, baud: int, machine: str, agent: str, ready: int) -> None:
    place = LinePlace(url)
    if not await _take(place):
        os.write(ready, b"ready\n")  # somebody else was faster: clients find that one
        return
    log = LineLog(place.log, keep=_LOG_MAX)
    if machine:
        from sampan.qemu import vm

        console = vm.console(machine, log)
    else:
        console = Console(open_port(url, baud), log)
    log.note(f"{console.transport.description}: opened by pid {os.getpid()}")
    write_bytes(place.owner, msgspec.json.encode(Owner(url, baud, os.getpid())), mode=0o600)
    console.start()
    try:
        await Broker(console, baud, SideLine(agent, console.clock, log, configured=not machine)).run(place, ready)
    finally:
        place.owner.unlink(missing_ok=True)
        console.close()
        if machine:
            _forget(place, machine)


def main() -> None:
    """URL BAUD MACHINE AGENT READY-FD: see client._start_broker."""
    url, baud, machine, agent, ready = sys.argv[1:]
    try:
        asyncio.run(_main(url, int(baud), machine, agent, int(ready)))
    except SampanError as error:
        with contextlib.suppress(OSError):
            os.write(int(ready), record_of(error) + b"\n")
        sys.exit(error.code)


if __name__ == "__main__":
    main()
