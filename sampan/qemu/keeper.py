"""The keeper of a machine: shares its console, turns its events into a state, ends it when told to.

It is a small process of its own for `sampan vm up` (this module's `main`), and lives within the
process for `sampan boot`. QEMU is its child and dies with it; the lock on the machine's folder
is given back by its death, however it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from sampan.core.errors import SampanError
from sampan.qemu import snapshot
from sampan.qemu.instance import Exit, Instance
from sampan.qemu.places import Place, State
from sampan.qemu.plan import Plan
from sampan.qemu.prepare import Request
from sampan.qemu.qmp import QmpError
from sampan.serial.log import LineLog
from sampan.serial.share import ConsoleShare

#: What asks for a login, and what a shell on the console says.
_PROMPTS = (b"login: ", b"# ")
_PAUSES = {"guest-panicked": "panic", "paused": "stopped by QMP"}


class Keeper:
    """Keeps one running instance at one place, whose lock the caller holds. On the instance's loop."""

    def __init__(self, place: Place, plan: Plan, instance: Instance) -> None:
        self.place = place
        self.instance = instance
        self.on_change: Callable[[State], None] = lambda state: None
        self.state = State(
            name=place.name,
            board=plan.image.board,
            state="booting",
            keeper=os.getpid(),
            pid=instance.pid,
            started=time.time(),
            cgroup=plan.options.cgroup,
            accel=plan.choice.accel,
            line=plan.options.line,
            fast=plan.options.fast,
            image=str(plan.folder),
            argv=tuple(instance.argv),
        )
        self._shares = [ConsoleShare(instance.console, place.console)]
        if instance.port is not None and not plan.options.line:  # who wants a line does not want a way around it
            self._shares.append(ConsoleShare(instance.port, place.agent))
        self._tail = b""
        self._stop_tap: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open console and port to clients and begin to watch."""
        self.instance.on_event = self._on_event
        self._stop_tap = self.instance.console.tap(self._look_for_prompt)
        for share in self._shares:
            await share.start()
        self._change(**({"state": "running"} if self.instance.up else {}))

    def _change(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        with contextlib.suppress(SampanError):  # a full disk must not end the machine
            self.place.write(self.state)
        self.on_change(self.state)

    def _look_for_prompt(self, data: bytes) -> None:
        seen = self._tail + data
        if self.state.state == "booting" and any(prompt in seen for prompt in _PROMPTS):
            self.running()
        self._tail = seen[-16:]

    def running(self) -> None:
        """It answers at its console."""
        self.instance.mark_up()
        self._change(state="running", reason="")

    def _on_event(self, name: str, data: Mapping[str, object]) -> None:
        if name == "RESET" and self.state.state != "starting":
            self._on_reset()
        elif name == "WATCHDOG":
            self._change(detail=f"watchdog: {data.get('action', '')}")
        elif name == "RESUME" and self.state.state == "paused":
            self._change(state="running", reason="")
        elif name == "STOP":
            task = asyncio.get_running_loop().create_task(self._on_stop())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _on_reset(self) -> None:
        happened = [name for name, _ in self.instance.events[-4:]]
        reason = "panic" if self.instance.console.panicked else "watchdog" if "WATCHDOG" in happened else "reset"
        detail = self.instance.console.panicked or self.state.detail
        self.instance.console.rebooted()
        self._change(state="booting", reason=reason, detail=detail, resets=self.state.resets + 1)

    async def _on_stop(self) -> None:
        """QEMU says why it stands still when it is asked."""
        with contextlib.suppress(QmpError):
            answer = await self.instance.qmp("query-status")
            status = str(answer.get("status")) if isinstance(answer, dict) else ""
            if status not in ("running", "shutdown"):
                self._change(state="paused", reason=_PAUSES.get(status, status))

    async def finish(self, end: Exit) -> None:
        """QEMU has ended: write why, let the clients read the last bytes."""
        detail = self.state.detail
        if end.reason == "panic":
            detail = self.instance.console.panicked or "pvpanic"
        elif end.reason == "died":
            detail = how(end)
        await self.stop()
        self._change(state="ended", reason=end.reason, detail=detail)

    async def stop(self) -> None:
        """Close them to clients."""
        self._stop_tap()
        for share in self._shares:
            await share.close()


def how(end: Exit) -> str:
    """An end by itself, in words."""
    return f"killed by {signal.Signals(-end.status).name}" if end.status < 0 else f"exit status {end.status}"


class _Teller:
    """Tells `vm up` each state through a pipe, until it runs; notices when nobody waits any more."""

    def __init__(self, fd: int, abandoned: Callable[[], None]) -> None:
        self._fd = fd
        self._abandoned = abandoned
        if fd >= 0:
            # A pipe's writing end becomes readable, with an error, when its reader is gone.
            asyncio.get_running_loop().add_reader(fd, self._reader_gone)

    def tell(self, state: State) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._fd, msgspec.json.encode(state) + b"\n")
            if state.state not in ("starting", "booting"):
                self.close()

    def _reader_gone(self) -> None:
        self.close()
        self._abandoned()

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


async def keep(place: Place, request: Request, status_fd: int) -> None:
    """Start what is asked for and keep it to its end."""
    stop, abandoned = asyncio.Event(), False

    def abandon() -> None:
        nonlocal abandoned
        abandoned = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    teller = _Teller(status_fd, abandon)
    first = State(name=place.name, board=Path(request.image).name, keeper=os.getpid(), started=time.time())
    place.write(first)
    try:
        await _run(place, request, teller, stop)
    except SampanError as error:
        ended = msgspec.structs.replace(first, state="ended", reason="died", detail=str(error))
        place.write(ended)
        teller.tell(ended)
    finally:
        teller.close()
        if abandoned:  # whoever wanted it was killed while it waited
            place.remove()


async def _run(place: Place, request: Request, teller: _Teller, stop: asyncio.Event) -> None:
    plan = Plan.make(request.image, request.options)
    instance = await snapshot.launch(plan, LineLog(place.log))
    keeper = Keeper(place, plan, instance)
    keeper.on_change = teller.tell
    try:
        await keeper.start()
        stopping = asyncio.create_task(stop.wait())
        watching = asyncio.create_task(instance.wait())
        await asyncio.wait([stopping, watching], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await keeper.finish(await instance.quit() if not watching.done() else watching.result())
    finally:
        await instance.close()


def main() -> None:
    """`python -m sampan.qemu.keeper NAME STATUS_FD`, started by sampan.qemu.vm with the lock inherited."""
    place, status_fd = Place(sys.argv[1]), int(sys.argv[2])
    request = Request.decode((place.folder / "request.json").read_bytes())
    if status_fd >= 0:
        os.set_inheritable(status_fd, False)
    asyncio.run(keep(place, request, status_fd))


if __name__ == "__main__":
    main()
