"""Booting a built image: `booted()` gives a program a machine that is logged in, `boot()` a person a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from sampan.build.image import Image
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.paths import shown
from sampan.qemu import places, plug, prepare, snapshot
from sampan.qemu.instance import Exit, Instance
from sampan.qemu.keeper import Keeper
from sampan.qemu.machine import BootOptions
from sampan.qemu.plan import Plan
from sampan.qemu.plug import Plugged
from sampan.serial.session import COMMAND_SECONDS, LOGIN_SECONDS, Result
from sampan.serial.sync import LoopThread, SyncConsole, shared_loop
from sampan.serial.terminal import Left, Terminal, announce, raw_mode

POWEROFF_SECONDS = 30.0
_T = TypeVar("_T")


class Machine:
    """A running QEMU for ordinary code. Leaving the `with` block ends it, however it is left."""

    def __init__(self, instance: Instance, plan: Plan, thread: LoopThread) -> None:
        self.instance = instance
        self.plan = plan
        self.image: Image = plan.image
        self.folder = plan.folder
        self.accel_reason = plan.choice.reason
        self.name = ""  #: that others find it by; "" when nobody can
        self.boot_cpu_seconds = 0.0  #: QEMU's processor time from exec to the shell
        self.console = SyncConsole(instance.console, thread)
        self._thread = thread

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def log(self) -> Path | None:
        """The console log."""
        return self.instance.log.path

    @property
    def pid(self) -> int:
        return self.instance.pid

    @property
    def running(self) -> bool:
        return self.instance.running

    @property
    def cpu_seconds(self) -> float:
        """Processor time QEMU has used so far."""
        return self.instance.cpu_seconds

    def login(self, user: str = "root", password: str = "", timeout: float = LOGIN_SECONDS) -> None:
        """Wait for the login prompt and log in; `timeout` in seconds of the machine's clock.

        A machine that began with a boot snapshot is logged in already.
        """
        if not self.instance.up:
            self.console.login(user, password, timeout)
            self.instance.mark_up()
        self.boot_cpu_seconds = self.cpu_seconds

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> Result:
        """Run a command on the machine; see Session.run."""
        return self.console.run(command, timeout)

    def qmp(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """One QMP command."""
        return self._thread.call(self.instance.qmp(command, arguments))

    def plug(self, kind: str, file: Path | None = None, *, name: str = "", read_only: bool = False) -> Plugged:
        """Plug a device in (usb-serial, usb-block, block, net); the machine needs BootOptions.ports."""
        return self._thread.call(plug.plug(self.instance.qmp, kind, file, name=name, read_only=read_only))

    def unplug(self, name: str) -> None:
        """Pull a device out, once the guest lets go of it."""
        self._thread.call(plug.unplug(self.instance.qmp, name, self.instance.console.clock))

    def poweroff(self, timeout: float = POWEROFF_SECONDS) -> Exit:
        """Let the logged-in system power itself off, and wait for QEMU's end."""
        return self._thread.call(self._poweroff(timeout))

    async def _poweroff(self, timeout: float) -> Exit:
        await self.console.session.leave()
        await self.instance.console.write("poweroff\n")
        return await self.instance.until_exit(timeout)

    def wait(self, timeout: float) -> Exit:
        """Wait for the machine to end by itself; `timeout` in seconds of its clock."""
        return self._thread.call(self.instance.until_exit(timeout))

    def quit(self) -> Exit:
        """Cut the power."""
        return self._thread.call(self.instance.quit())

    def kill(self) -> Exit:
        """SIGKILL to QEMU."""
        return self._thread.call(self.instance.kill())

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the machine's loop."""
        return self._thread.call(work)

    def attach_terminal(self) -> Left:
        """Join stdin and stdout with the console until a person quits or the machine ends."""
        return self._thread.call(Terminal(self.instance.console).run())

    def raise_end(self) -> NoReturn:
        """Raise the error that tells why the machine has ended."""
        self._thread.call(self.instance.console.fail_ended())

    def close(self) -> None:
        """End it if it runs, and give everything back."""
        self._thread.call(self.instance.close())


def start(board_or_folder: str | Path, options: BootOptions | None = None) -> Machine:
    """Start QEMU on an image and return at once; the caller closes the machine."""
    return _launched(Plan.make(board_or_folder, options or BootOptions()))


def _launched(plan: Plan) -> Machine:
    log = prepare.open_log(plan.folder, plan.options.log)
    thread = shared_loop()
    return Machine(thread.call(snapshot.launch(plan, log)), plan, thread)


@contextlib.contextmanager
def booted(
    board_or_folder: str | Path, options: BootOptions | None = None, *, login_timeout: float = LOGIN_SECONDS
) -> Iterator[Machine]:
    """A machine with root logged in: `with booted("qemuarm") as machine: machine.run("uname -m")`."""
    with start(board_or_folder, options) as machine_:
        machine_.login(timeout=login_timeout)
        yield machine_


def boot(board_or_folder: str | Path, options: BootOptions | None = None, script: Path | None = None) -> int:
    """`sampan boot`: a terminal on the machine's console; returns the exit code of the command.

    With `script`, or when stdin is no terminal, its lines are run as commands after a login instead.
    """
    commands = _commands(script)
    with listed(board_or_folder, options or BootOptions()) as running:
        log = f", log {shown(running.log)}" if running.log else ""
        print(f"[sampan: {running.image.board} under QEMU{log}]", file=sys.stderr)
        if commands is not None:
            return _run_all(running, commands)
        announce()
        with raw_mode():
            left = running.attach_terminal()
        if left == "quit":
            running.quit()
            print("\n[sampan: the machine is off]", file=sys.stderr)
            return 0
        end = running.wait(POWEROFF_SECONDS)
        if end.reason in ("panic", "watchdog", "died"):
            running.raise_end()
        print(f"\n[sampan: the machine ended: {end.reason}]", file=sys.stderr)
        return 0


@contextlib.contextmanager
def listed(board_or_folder: str | Path, options: BootOptions, name: str = "") -> Iterator[Machine]:
    """A machine that `sampan vm` finds by name, and whose console others may share, as long as it lasts.

    Its name is the board's, or `name`; with a number behind it when that is taken.
    """
    image, _ = prepare.find(board_or_folder)
    place, lock = places.free_name(name or image.board)
    try:
        plan = Plan.make(board_or_folder, replace(options, qmp=options.qmp or place.qmp))
        with _launched(plan) as running:
            keeper = Keeper(place, plan, running.instance)
            running.name = place.name
            running.call(keeper.start())
            try:
                yield running
            finally:
                running.call(keeper.stop())
    finally:
        place.remove()
        os.close(lock)


def _commands(script: Path | None) -> list[str] | None:
    """The lines to run, without blank ones and comments; None for a person at a terminal."""
    if script is None and os.isatty(0):
        return None
    try:
        text = sys.stdin.read() if script is None else script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SampanError(f"--script {script or '-'}: {error}", code=EXIT_USAGE) from error
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _run_all(running: Machine, commands: list[str]) -> int:
    """Run commands until one fails, then power off; the failed one's exit code, or 0."""
    running.login()
    code = 0
    for command in commands:
        print(f"# {command}", file=sys.stderr, flush=True)
        result = running.run(command)
        sys.stdout.buffer.write(result.raw)
        sys.stdout.flush()
        code = result.status
        if code:
            break
    running.poweroff()
    return code
