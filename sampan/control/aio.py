"""A target on an asyncio loop: `target = sampan.connect_async("qemu:qemuarm")`.

Each call is a request of its own to the line's owner, read and written by the loop; the owner carries up
to eight programs over the line at once, so `asyncio.gather` has them side by side. A cancelled call takes
its program with it. Two things are done in threads: finding the owner, which may have to be started,
and what a transfer computes (sums, compression); its programs run on the loop like all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sampan.control import transfer
from sampan.control.aiolxc import AsyncContainer
from sampan.control.calls import Call, Done, Reply
from sampan.control.client import LineFailure, connected, ended, failure_of, request_of
from sampan.control.packets import Kind, Nonsense, Unpacker, pack
from sampan.control.target import Line, resolve
from sampan.control.transfer import Moved, Progress
from sampan.core.errors import SampanError

_T = TypeVar("_T")
_CHUNK = 65536


class AsyncTarget:
    """A machine or board behind a line. Belongs to no loop: any that runs may call it."""

    def __init__(self, line: Line, note: Callable[[str], None] = lambda text: None) -> None:
        self.line = line
        self._note = note

    async def run(
        self,
        words: Sequence[str] | str,
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        verb: bool = False,
        ident: bytes = b"",
        output: Callable[[bytes], None] | None = None,
    ) -> Done:
        """Run a program (a string: by sh) or a verb of sampan, to its end; see Target.run."""
        argv = ("sh", "-c", words) if isinstance(words, str) else tuple(words)
        return await self.perform(Call(argv, stdin, verb, environment or {}, ident, output))

    async def perform(self, call: Call) -> Done:
        """Carry a call out."""
        reply = Reply(call, self._note)
        async with _opened(self.line, call.request()) as sock:
            feeding = asyncio.create_task(_feed(sock, call.stdin))
            try:
                async for kind, payload in _packets(self.line, sock):
                    reply.take(kind, payload)
            finally:
                feeding.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await feeding
        return reply.done()

    async def verb(self, *words: str) -> Done:
        """A verb of sampan on the target: `await target.verb("start", "web")`."""
        return await self.run(words, verb=True)

    async def push(
        self, local: Path | str, remote: str, *, mode: int | None = None, progress: Progress = lambda done, total: None
    ) -> Moved:
        """Copy a file to the target; see Target.push. `progress` is called in another thread."""
        return await self._transfer(lambda run: transfer.push(run, Path(local), remote, mode, progress))

    async def pull(self, remote: str, local: Path | str, *, progress: Progress = lambda done, total: None) -> Moved:
        """Copy a file from the target; see Target.pull. `progress` is called in another thread."""
        return await self._transfer(lambda run: transfer.pull(run, remote, Path(local), progress))

    async def _transfer(self, work: Callable[[transfer.Runner], _T]) -> _T:
        """Compute in a thread; what it wants run on the target is run on this loop."""
        loop = asyncio.get_running_loop()
        over = False
        running: asyncio.Task[Done] | None = None

        async def one(call: Call) -> Done:
            nonlocal running
            if over:
                raise SampanError("the transfer was cancelled")
            running = asyncio.current_task()
            return await self.perform(call)

        try:
            return await asyncio.to_thread(
                work, lambda call: asyncio.run_coroutine_threadsafe(one(call), loop).result()
            )
        finally:
            over = True
            if running is not None:
                running.cancel()

    async def containers(self) -> list[str]:
        """The names of the containers there are."""
        return (await self.verb("ls", "-1")).check().output.split()

    def container(self, name: str, config_path: str | None = None) -> AsyncContainer:
        """A container by name; it need not exist yet."""
        return AsyncContainer(self, name, config_path)


@contextlib.asynccontextmanager
async def _opened(line: Line, request: Mapping[str, object]) -> AsyncIterator[socket.socket]:
    """One request to a line's owner; leaving gives it up.

    No stream of asyncio's: one whose writing fails, as when a program ends without its input, drops the answer
    that is still to be read.
    """
    with await asyncio.to_thread(connected, line) as sock:
        sock.setblocking(False)
        await _send(sock, Kind.REQUEST, request_of(line, request))
        yield sock


async def _send(sock: socket.socket, kind: Kind, payload: bytes = b"") -> None:
    with contextlib.suppress(OSError):  # the reading side says why
        await asyncio.get_running_loop().sock_sendall(sock, pack(kind, payload))


async def _feed(sock: socket.socket, stdin: bytes) -> None:
    for at in range(0, len(stdin), _CHUNK):
        await _send(sock, Kind.INPUT, stdin[at : at + _CHUNK])
    await _send(sock, Kind.EOF)


async def _packets(line: Line, sock: socket.socket) -> AsyncIterator[tuple[Kind, bytes]]:
    """Everything up to and with the end. Raises LineFailure."""
    loop = asyncio.get_running_loop()
    unpacker = Unpacker()
    while True:
        try:
            data = await loop.sock_recv(sock, _CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            raise ended(line)
        try:
            found = unpacker.feed(data)
        except Nonsense as error:
            raise LineFailure(f"{line.target}: the broker speaks nonsense: {error}") from error
        for kind, payload in found:
            if kind == Kind.FAILURE:
                raise failure_of(line, payload)
            yield kind, payload
            if kind == Kind.END:
                return


def connect_async(target: str, note: Callable[[str], None] = lambda text: None) -> AsyncTarget:
    """A target by its name, for an asyncio loop; nothing is awaited before its first call."""
    return AsyncTarget(resolve(target), note)
