"""Machines in the background, found by name: start, look, talk, end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.paths import ROOT, build_dir, shown
from sampan.qemu import places, prepare
from sampan.qemu import plug as plugs
from sampan.qemu.machine import BootOptions
from sampan.qemu.places import Place, State
from sampan.qemu.plug import Plugged
from sampan.qemu.prepare import Request
from sampan.qemu.process import MachineClock
from sampan.qemu.qmp import Qmp, QmpError
from sampan.serial.clock import Deadline
from sampan.serial.console import Console
from sampan.serial.errors import ConsoleError
from sampan.serial.log import LineLog
from sampan.serial.ports import open_port
from sampan.serial.session import LOGIN_SECONDS
from sampan.serial.sync import shared_loop
from sampan.serial.transport import FdTransport

_LOOK_SECONDS = 0.2
_END_SECONDS = 3.0
#: Keepers started by this process; they are not waited for, only reaped when they have ended.
_keepers: list[subprocess.Popen[bytes]] = []


def up(board_or_folder: str, name: str = "", options: BootOptions | None = None, *, wait: bool = True) -> State:
    """Start a machine in the background; `wait` until it asks for a login. Its state then.

    Raises SampanError when the name is taken or the machine ends before that. A caller that is
    killed while it waits takes the machine with it.
    """
    options = options or BootOptions()
    image, folder = prepare.find(board_or_folder)
    place = Place(name or image.board)
    lock = place.claim()
    try:
        options = replace(options, qmp=place.qmp, log=place.log, data=options.data and options.data.absolute())
        (place.folder / "request.json").write_bytes(Request(str(folder), options).encode())
        keeper, status = _spawn(place, lock)
    except BaseException:
        place.remove()
        raise
    finally:
        os.close(lock)
    with os.fdopen(status, "rb", buffering=0) as pipe:
        state = _until(pipe.fileno(), keeper, ("running", "paused") if wait else ("booting", "running", "paused"))
    if state is None or not state.alive:
        detail = state.detail or state.reason if state else _last_words(place)
        raise SampanError(f"{place.name}: the machine did not come up: {detail}", hint=f"log: {shown(place.log)}")
    return state


def _spawn(place: Place, lock: int) -> tuple[subprocess.Popen[bytes], int]:
    _keepers[:] = [keeper for keeper in _keepers if keeper.poll() is None]
    reader, writer = os.pipe()
    # The keeper is of this very checkout, and finds the same folders from another working directory.
    env = os.environ | {"PYTHONPATH": str(ROOT), "SAMPAN_BUILD": str(build_dir())}
    try:
        with place.keeper_log.open("wb") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "sampan.qemu.keeper", place.name, str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock, writer),
                cwd="/",
                env=env,
                start_new_session=True,
            )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    _keepers.append(keeper)
    return keeper, reader


def _until(fd: int, keeper: subprocess.Popen[bytes], wanted: Sequence[str]) -> State | None:
    """The first state that is wanted or the end; None when the keeper ends without a word."""
    rest, state, deadline = b"", None, None
    while True:
        if select.select([fd], [], [], _LOOK_SECONDS)[0]:
            data = os.read(fd, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                state = msgspec.json.decode(line, type=State)
                if state.state in wanted or not state.alive:
                    return state
        if deadline is None and state is not None and state.pid:
            deadline = Deadline(MachineClock(state.pid), LOGIN_SECONDS)
        if deadline is not None and deadline.left <= 0:
            raise SampanError(f"{state.name if state else '?'}: no login within {LOGIN_SECONDS:g} s")
    keeper.wait()
    return None


def _last_words(place: Place) -> str:
    with contextlib.suppress(OSError):
        lines = place.keeper_log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its keeper ended"
    return "its keeper ended"


def ls() -> list[State]:
    """Every machine that lives, and those that ended and were not cleared away."""
    return [state for place in places.all_places() if (state := place.read()) is not None]


def down(name: str) -> None:
    """Cut a machine's power and forget it. Raises SampanError when there is none of this name."""
    if not Place(name).down():
        places.find(name)  # says what there is instead


def power_off(name: str) -> None:
    """Cut a machine's power and leave it in the list: `power_on` starts it again."""
    place, _ = places.find(name)
    with contextlib.suppress(QmpError):  # it may go before it answers
        qmp(name, "quit")
    end = time.monotonic() + _END_SECONDS
    while place.held and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS / 4)


def power_on(name: str) -> State:
    """Start a machine that has ended once more, with the options it had. Raises SampanError."""
    place = Place(name)
    try:
        request = Request.decode((place.folder / "request.json").read_bytes())
    except FileNotFoundError:
        raise SampanError(f"{name}: was not started by `sampan vm up`", hint="`sampan vm ls`") from None
    return up(request.image, name, request.options)


def qmp(name: str, command: str, arguments: Mapping[str, object] | None = None) -> object:
    """One QMP command to a machine that lives; its answer."""
    place, _ = places.find(name)
    return shared_loop().call(_qmp(place, command, arguments))


async def _qmp(place: Place, command: str, arguments: Mapping[str, object] | None) -> object:
    async with _client(place) as client:
        return await client.execute(command, arguments)


@contextlib.asynccontextmanager
async def _client(place: Place) -> AsyncIterator[Qmp]:
    client = Qmp(lambda name, data: None)
    if not await client.connect(place.qmp):
        raise SampanError(f"{place.name}: QEMU does not answer at {place.qmp}")
    try:
        yield client
    finally:
        await client.close()


def plug(name: str, kind: str, file: Path | None = None, *, device: str = "", read_only: bool = False) -> Plugged:
    """Plug a device into a machine that was started with ports; see sampan.qemu.plug."""
    place, _ = places.find(name)

    async def work() -> Plugged:
        async with _client(place) as client:
            return await plugs.plug(client.execute, kind, file, name=device, read_only=read_only)

    return shared_loop().call(work())


def unplug(name: str, device: str) -> None:
    """Pull a device out of a machine."""
    place, state = places.find(name)

    async def work() -> None:
        async with _client(place) as client:
            await plugs.unplug(client.execute, device, MachineClock(state.pid))

    shared_loop().call(work())


def screenshot(name: str, out: Path) -> None:
    """Write what the machine's display shows, as PNG."""
    _, state = places.find(name)
    if not any(word in ("VGA", "virtio-gpu-pci") for word in state.argv):
        raise SampanError(f"{name}: has no display", hint="start it with --display", code=EXIT_USAGE)
    qmp(name, "screendump", {"filename": str(out.absolute()), "format": "png"})


def console(name: str, log: LineLog | None = None) -> Console:
    """The console of a machine that lives, as one more client. On a loop; the caller starts and closes it.

    BREAK goes through QMP; why it ends is said by the machine's state.
    """
    place, state = places.find(name)
    line = open_port(f"unix://{place.console}")
    line.description = f"the console of {name}"
    if isinstance(line, FdTransport):
        line.on_break = lambda: _qmp(place, "chardev-send-break", {"id": "console"})
    joined = Console(line, log or LineLog(None), MachineClock(state.pid))

    async def explain() -> SampanError | None:
        why = await ended(place)
        return joined.error(ConsoleError, f"the machine ended: {why}", f"log: {shown(place.log)}") if why else None

    joined.explain = explain
    return joined


async def ended(place: Place) -> str:
    """Why a machine has ended, or "" when it lives. Its keeper writes that just after the console's end."""
    end = time.monotonic() + _END_SECONDS
    while (state := place.read()) is not None and state.alive:
        if time.monotonic() > end:
            return ""
        await asyncio.sleep(_LOOK_SECONDS / 4)
    return ": ".join(filter(None, [state.reason, state.detail])) if state else "cleared away"


async def attached(name: str) -> Console:
    """`console(name)`, started on the running loop."""
    joined = console(name)
    joined.start()
    return joined
