"""The owner of one line: drains it, logs it, runs the agent's session, and serves clients at a socket.

A client's end never drops the line. The agent is left when nobody has used it for a while, so that
the shell is a person's again; the broker itself ends later, or when the line does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

from sampan.control import bringup
from sampan.control.lines import (
    END,
    EOF,
    FAILURE,
    INPUT,
    NOTE,
    PACKET,
    PACKET_MAX,
    REQUEST,
    SIGNAL,
    SIZE,
    STDERR,
    STDOUT,
    LinePlace,
    packet,
)
from sampan.core.errors import SampanError
from sampan.serial.agent import AgentSession
from sampan.serial.console import Console
from sampan.serial.log import LineLog
from sampan.serial.mux import Channel, End, Flag, Stream
from sampan.serial.ports import open_port

AGENT_IDLE = 20.0  #: seconds after the last program until the agent gives the line back
BROKER_IDLE = 60.0  #: seconds without a client until the broker ends
_INPUT_WAITS = 65536  #: bytes of a client's stdin that wait for the line
_LOG_MAX = 8 << 20


class Client:
    """One connection: one request."""

    def __init__(self, broker: Broker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.broker = broker
        self.reader = reader
        self.writer = writer
        self._room = asyncio.Event()
        self._unsent = 0

    def send(self, kind: int, payload: bytes = b"") -> None:
        if not self.writer.is_closing():
            self.writer.write(packet(kind, payload))

    def note(self, text: str) -> None:
        self.send(NOTE, text.encode())

    def fail(self, error: SampanError) -> None:
        record = {"message": error.message, "hint": error.hint, "code": error.code}
        self.send(FAILURE, json.dumps(record).encode())

    async def packet(self) -> tuple[int, bytes] | None:
        """The next packet; None at the end."""
        try:
            size, kind = PACKET.unpack(await self.reader.readexactly(PACKET.size))
            return (kind, await self.reader.readexactly(size)) if size <= PACKET_MAX else None
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def serve(self) -> None:
        first = await self.packet()
        if first is None or first[0] != REQUEST:
            return
        request = json.loads(first[1])
        try:
            if request["do"] == "run":
                await self._run(request)
            elif request["do"] == "terminal":
                await self._terminal(take=bool(request.get("take", True)))
            elif request["do"] == "info":
                session = await self.broker.agent(self)
                record = {"codec": session.link.codec, "round_trip": session.link.flight.round_trip}
                self.send(END, json.dumps(record).encode())
        except SampanError as error:
            self.fail(error)

    async def _run(self, request: dict[str, Any]) -> None:
        session = await self.broker.agent(self)
        flags = (Flag.TERMINAL if request.get("terminal") else 0) | (Flag.VERB if request.get("verb") else 0)
        flags |= Flag.URGENT if request.get("urgent") else 0
        rows, columns = request.get("size") or (24, 80)
        channel = session.open(
            request["words"],
            flags=flags,
            environment=request.get("environment") or {},
            rows=rows,
            columns=columns,
            ident=bytes.fromhex(request.get("ident", "")),
        )
        done: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        channel.on_data = lambda stream, data: self._output(channel, session, stream, data)
        channel.on_end = lambda end: None if done.done() else done.set_result(end)
        channel.on_room = self._room.set
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
                lost = not session.link.up
                raise SampanError(end.failure, hint="how far the command came is unknown" if lost else "")
            self.send(END, json.dumps({"status": end.exit_code, "repeated": end.repeated}).encode())
        finally:
            feeding.cancel()
            self.broker.touch()

    def _output(self, channel: Channel, session: AgentSession, stream: Stream, data: bytes) -> None:
        self.send(STDOUT if stream == Stream.STDOUT else STDERR, data)
        # Credit goes back when the client has taken it: its pipe holds up its program alone.
        self._unsent += len(data)
        if self.writer.transport.get_write_buffer_size() == 0:
            channel.consumed(self._unsent)
            self._unsent = 0
        else:
            asyncio.ensure_future(self._drained(channel, session))

    async def _drained(self, channel: Channel, session: AgentSession) -> None:
        with contextlib.suppress(OSError):
            await self.writer.drain()
        count, self._unsent = self._unsent, 0
        channel.consumed(count)
        session.kick()

    async def _feed(self, channel: Channel, session: AgentSession) -> None:
        """The client's input, as fast as the line takes it."""
        while (item := await self.packet()) is not None:
            kind, payload = item
            if kind == INPUT:
                channel.write(payload)
            elif kind == EOF:
                channel.close_input()
            elif kind == SIGNAL:
                channel.signal(payload[0])
            elif kind == SIZE:
                rows, columns = payload.split()
                channel.resize(int(rows), int(columns))
            session.kick()
            while channel.waiting > _INPUT_WAITS and not channel.ended:
                self._room.clear()
                await self._room.wait()

    async def _terminal(self, *, take: bool) -> None:
        """The console itself: everything that is no frame, and keys when it is taken."""
        stop = self.broker.console.tap(lambda data: self.send(STDOUT, data))
        try:
            if take:
                await self.broker.leave_agent()
            while (item := await self.packet()) is not None:
                if item[0] == INPUT and take:
                    await self.broker.type(item[1])
        finally:
            stop()


class Broker:
    """One line and its clients. On one loop."""

    def __init__(self, console: Console, login: bringup.Login) -> None:
        self.console = console
        self._login = login
        self._session: AgentSession | None = None
        self._starting = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._used = self._loop.time()
        self._clients: set[asyncio.Task[None]] = set()

    async def agent(self, client: Client) -> AgentSession:
        """The session, begun when there is none."""
        async with self._starting:
            self.touch()
            if self._session is not None and self._session.up:
                return self._session
            if self._session is not None:
                await self._session.stop()
            self._session = await bringup.agent_on(self.console, self._login, client.note)
            return self._session

    def touch(self) -> None:
        """Somebody uses the line now."""
        self._used = self._loop.time()

    async def leave_agent(self) -> None:
        """Give the line back to its shell, unless a program runs."""
        async with self._starting:
            if self._session is not None and not self._session.mux.channels:
                session, self._session = self._session, None
                await session.leave()

    async def type(self, keys: bytes) -> None:
        """A person's keys; they wait while programs run over the line."""
        while self._session is not None and self._session.up:
            if not self._session.mux.channels:
                await self.leave_agent()
            await asyncio.sleep(0.05)
        await self.console.write(keys)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await Client(self, reader, writer).serve()
            with contextlib.suppress(OSError):
                await writer.drain()
        finally:
            self._clients.discard(task)
            self.touch()
            writer.close()

    async def run(self, path: Path, ready: int) -> None:
        """Serve until the line ends or nobody has come for a while."""
        old = os.umask(0o177)
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self.serve, path)
        os.umask(old)
        os.write(ready, b"ready\n")
        os.close(ready)
        while not self.console.ended:
            await asyncio.sleep(0.5)
            idle = self._loop.time() - self._used
            if self._session is not None and not self._session.mux.channels and idle > AGENT_IDLE:
                await self.leave_agent()
            if not self._clients and idle > BROKER_IDLE:
                break
        path.unlink(missing_ok=True)
        server.close()
        if self._session is not None:
            if self.console.ended:
                self._session.lost("the line ended")
            await self._session.leave()
        if self._clients:
            await asyncio.wait(self._clients, timeout=1.0)


async def _main(url: str, baud: int, login: bringup.Login, pid: int, ready: int) -> None:
    place = LinePlace(url)
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(ready, b"ready\n")  # somebody else was faster: clients find that one
        return
    transport = open_port(url, baud)
    if place.log.exists() and place.log.stat().st_size:
        place.log.replace(place.log.with_name("console.log.1"))
    clock = None
    if pid:
        from sampan.qemu.process import MachineClock

        clock = MachineClock(pid)
    console = Console(transport, LineLog(place.log), clock)
    console.start()
    try:
        await Broker(console, login).run(place.socket, ready)
    finally:
        console.close()


def main() -> None:
    """URL BAUD USER PASSWORD-FD PID READY-FD: see client.connect."""
    url, baud, user, password, pid, ready = sys.argv[1:]
    login = bringup.Login(user, os.environ.pop("SAMPAN_PASSWORD", "") if password == "env" else "")
    try:
        asyncio.run(_main(url, int(baud), login, int(pid), int(ready)))
    except SampanError as error:
        record = {"message": error.message, "hint": error.hint, "code": error.code}
        with contextlib.suppress(OSError):
            os.write(int(ready), json.dumps(record).encode() + b"\n")
        sys.exit(error.code)


if __name__ == "__main__":
    main()
