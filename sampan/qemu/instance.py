"""One running QEMU: its console drained from exec to exit, QMP, a verdict, and a sure end."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sampan.core.errors import SampanError
from sampan.qemu.process import MachineClock, Process, cpu_seconds
from sampan.qemu.qmp import Qmp, QmpError
from sampan.serial.clock import Deadline, WallClock
from sampan.serial.console import Console
from sampan.serial.errors import BootFailed, ConsoleError
from sampan.serial.log import LineLog
from sampan.serial.transport import socket_transport

if TYPE_CHECKING:  # it brings the simulation of lines along
    from sampan.serial.linerun import LineRunner

Reason = Literal["poweroff", "reset", "panic", "watchdog", "quit", "killed", "died"]
OnEvent = Callable[[str, Mapping[str, object]], None]

_QUIT_SECONDS = 3.0
_DRAIN_SECONDS = 2.0
_STDERR_KEPT = 16384


class QemuDied(ConsoleError):
    """QEMU ended by itself: refused its options, crashed, or was killed from outside."""


@dataclass(frozen=True)
class Exit:
    """How a machine ended. `status` is QEMU's exit status, negative for a signal."""

    reason: Reason
    status: int
    cpu_seconds: float  #: processor time QEMU used in all

    @property
    def clean(self) -> bool:
        """The guest or the user ended it on purpose."""
        return self.reason in ("poweroff", "reset", "quit")


@dataclass(frozen=True)
class Sockets:
    """Our ends of the console and QMP, of the agent's port and the network card when there are such; QEMU's by name."""

    console: socket.socket
    qmp: socket.socket
    agent: socket.socket | None
    net: socket.socket | None
    theirs: Mapping[str, socket.socket]

    @classmethod
    def make(cls, *, agent: bool = False, net: bool = False) -> Sockets:
        names = ["console", "qmp", *(["agent"] if agent else []), *(["net"] if net else [])]
        pairs = {name: socket.socketpair() for name in names}
        ours = {name: pair[0] for name, pair in pairs.items()}
        theirs = {name: pair[1] for name, pair in pairs.items()}
        return cls(ours["console"], ours["qmp"], ours.get("agent"), ours.get("net"), theirs)

    def fd(self, name: str) -> int:
        """QEMU's end; -1 when there is none."""
        return self.theirs[name].fileno() if name in self.theirs else -1

    def with_line(self, line: LineRunner) -> Sockets:
        """The same with `line` between our end of the console and QEMU's. On a running loop."""
        from sampan.serial.linerun import shrink

        console, host = socket.socketpair()
        line.start(host, self.console)
        shrink(self.theirs["console"])
        return replace(self, console=console)

    def close_theirs(self) -> None:
        for end in self.theirs.values():
            end.close()

    def close(self) -> None:
        self.close_theirs()
        for end in (self.console, self.qmp, self.agent, self.net):
            if end is not None:
                end.close()


class Instance:
    """A QEMU process and what belongs to it. `close` may come at any time and more than once."""

    def __init__(self, argv: Sequence[str], sockets: Sockets, log: LineLog, keep_fds: Sequence[int] = ()) -> None:
        """Start QEMU. On a running loop; use `start`."""
        self.argv = list(argv)
        self.log = log
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.on_event: OnEvent | None = None  #: told of every QMP event (name, data)
        self.on_close: list[Callable[[], None]] = []  #: what ends with it, besides the console
        self._stderr = b""
        self._asked: Reason | None = None  #: what we did to end it
        self._shutdown = ""  #: reason of QMP's SHUTDOWN event
        self._exit: Exit | None = None
        self._ending: asyncio.Task[Exit] | None = None  #: kept, or the loop forgets it
        self.up = False  #: a login was reached: an end is no failed boot any more
        keep = [*(end.fileno() for end in sockets.theirs.values()), *keep_fds]
        self.process = Process.start(argv, keep, self._on_stderr)
        sockets.close_theirs()
        clock = MachineClock(self.process.pid)
        line = socket_transport(sockets.console, "the console of QEMU")
        line.on_break = self._send_break
        self.console = Console(line, log, clock)
        self.console.explain = self._explain
        self.console.tap(Halt(self._halted).feed)
        self.console.start()
        self.port = _port(sockets.agent, clock)
        self._qmp = Qmp(self._on_event)
        self._watch = asyncio.create_task(self._until_exit())

    @classmethod
    async def start(cls, argv: Sequence[str], sockets: Sockets, log: LineLog, keep_fds: Sequence[int] = ()) -> Instance:
        """Start QEMU with its console drained from the first byte; it inherits `keep_fds` too.

        Raises QemuDied when it ends at once.
        """
        log.note(shlex.join(argv))
        try:
            self = cls(argv, sockets, log, keep_fds)
        except BaseException:
            sockets.close()
            log.close()
            raise
        try:
            if not await self._qmp.connect(sockets.qmp):
                await self.wait()
                raise self._died()
        except BaseException:
            await self.close()
            raise
        return self

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._exit is None

    @property
    def cpu_seconds(self) -> float:
        """Processor time QEMU has used so far."""
        return self.process.cpu_seconds or cpu_seconds(self.pid) or 0.0

    def mark_up(self) -> None:
        """From now on the end of the machine is an event, not a failed boot."""
        self.up = True

    def _on_event(self, name: str, data: Mapping[str, object]) -> None:
        self.events.append((name, data))
        self.log.note(f"QMP {name} {dict(data) if data else ''}".rstrip())
        if name == "SHUTDOWN":
            self._shutdown = str(data.get("reason", ""))
        if self.on_event is not None:
            self.on_event(name, data)

    def _on_stderr(self, data: bytes) -> None:
        self._stderr = (self._stderr + data)[-_STDERR_KEPT:]
        self.log.write("!", data)

    async def _until_exit(self) -> Exit:
        status = await self.process.ended
        await self._qmp.close()
        await self._drain()
        self._exit = Exit(self._verdict(status), status, self.process.cpu_seconds)
        self.log.note(
            f"QEMU ended: {self._exit.reason}, exit status {status}, {self._exit.cpu_seconds:.2f} s of processor time"
        )
        return self._exit

    async def _drain(self) -> None:
        """The console's last bytes may still be in the socket when the process is gone."""
        deadline = Deadline(WallClock(), _DRAIN_SECONDS)
        while not self.console.ended and deadline.left > 0:
            await asyncio.sleep(0.005)

    def _verdict(self, status: int) -> Reason:
        happened = {name for name, _ in self.events}
        if self.console.panicked or "GUEST_PANICKED" in happened:
            return "panic"
        if "WATCHDOG" in happened and self._shutdown == "guest-reset":
            return "watchdog"
        if self._asked is not None and (status == 0 or self._asked == "killed"):
            return self._asked
        by_event: dict[str, Reason] = {"guest-shutdown": "poweroff", "guest-reset": "reset", "guest-panic": "panic"}
        if status == 0 and self._shutdown in by_event:
            return by_event[self._shutdown]
        if status == 0 and self._shutdown.startswith("host-"):
            return "quit"
        return "died"

    async def wait(self) -> Exit:
        """How QEMU ended, once it has."""
        return await asyncio.shield(self._watch)

    async def until_loaded(self) -> None:
        """Wait until the state that QEMU began with is loaded. Raises QemuDied when it is refused."""
        with contextlib.suppress(QmpError):
            while True:
                status = await self.qmp("query-status")
                if isinstance(status, dict) and status.get("status") != "inmigrate":
                    return
                await asyncio.sleep(0.002)
        await self.wait()
        raise self._died()

    async def until_exit(self, timeout: float) -> Exit:
        """How it ended, waiting at most `timeout` seconds of the machine's clock."""
        deadline = Deadline(self.console.clock, timeout)
        while not self._watch.done():
            if deadline.left <= 0:
                raise self.console.error(ConsoleError, f"the machine did not end within {timeout:g} s")
            await asyncio.wait([self._watch], timeout=0.2)
        return await self.wait()

    async def _explain(self) -> SampanError:
        end = await self.wait()
        if end.reason == "died":
            return self._died()
        words = {"poweroff": "powered off", "reset": "rebooted", "quit": "was ended", "killed": "was killed"}
        words["watchdog"] = "was reset by its watchdog"
        what = f"the machine {words.get(end.reason, end.reason)}"
        if not self.up:
            return self.console.error(BootFailed, f"{what} before there was a login")
        return self.console.error(ConsoleError, what)

    def _died(self) -> QemuDied:
        assert self._exit is not None
        status = self._exit.status
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        text = self._stderr.decode(errors="replace")
        said = "".join(f"\n  ! {line}" for line in text.splitlines()[-10:])
        hint = next((hint for part, hint in _HINTS.items() if part in text), "")
        what = f"{self.argv[0]} ended ({how}){said}"
        if not self.log.tail():
            what += f"\n  $ {shlex.join(self.argv)}"
        return self.console.error(QemuDied, what, hint)

    async def qmp(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """One QMP command. Raises QmpError."""
        return await self._qmp.execute(command, arguments)

    def _halted(self) -> None:
        """The kernel of a board that cannot switch itself off has stopped for good: it counts as off."""
        self._asked = self._asked or "poweroff"
        self._ending = asyncio.create_task(self.quit())

    async def _send_break(self) -> None:
        await self.qmp("chardev-send-break", {"id": "console"})

    async def quit(self) -> Exit:
        """Cut the power: QMP quit, then SIGKILL when QEMU does not listen."""
        if self.running:
            self._asked = self._asked or "quit"
            with contextlib.suppress(QmpError, TimeoutError):
                await asyncio.wait_for(self.qmp("quit"), _QUIT_SECONDS)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self.wait(), _QUIT_SECONDS)
        return await self.kill()

    async def kill(self) -> Exit:
        """SIGKILL, and wait for the end."""
        if self.running:
            self._asked = "killed"
            self.process.kill()
        return await self.wait()

    async def close(self) -> None:
        """End QEMU if it runs and give everything back."""
        await self.quit()
        self.console.close()
        if self.port is not None:
            self.port.close()
        while self.on_close:
            self.on_close.pop()()


def _port(ours: socket.socket | None, clock: MachineClock) -> Console | None:
    """What an agent has for itself. Drained like a console, and no text of it is kept."""
    if ours is None:
        return None
    port = Console(socket_transport(ours, "the agent's port of QEMU"), LineLog(None), clock)
    port.answers_cursor = False
    port.start()
    return port


class Halt:
    """Notices the kernel's last word in a stream that arrives in pieces, and tells it once."""

    _LINE = re.compile(rb"\[ *\d+\.\d+\] reboot: System halted\r?\n")

    def __init__(self, then: Callable[[], None]) -> None:
        self._then: Callable[[], None] | None = then
        self._rest = b""

    def feed(self, data: bytes) -> None:
        text = self._rest + data
        self._rest = text[-80:]
        if self._then is not None and self._LINE.search(text):
            then, self._then = self._then, None
            then()


_HINTS = {
    'Failed to get "write" lock': "another machine uses this data disk: --snapshot, or another one with --data FILE",
    'Failed to get shared "write" lock': "another machine uses this data disk: give this one its own with --data FILE",
    "without PVH ELF Note": 'this kernel cannot be given uncompressed: qemu.kernel = "as-is" in board.toml',
    "cannot set up guest memory": "not enough memory on this host: a smaller --ram",
    "Could not access KVM": "--accel tcg",
    "Address already in use": "another program has this socket: another --qmp PATH",
}
