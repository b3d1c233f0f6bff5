"""A person's terminal on a console, or a pipe's: bytes to and fro, an escape key, the tty restored.

What comes from the line is written by a thread of its own with a bounded queue: a terminal that
stands still (Ctrl-S, a stopped ssh) must never stop the draining of the line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Literal

from sampan.core.errors import SampanError
from sampan.core.paths import shown
from sampan.serial.console import Console
from sampan.serial.keys import ANNOUNCEMENT, HELP, Keys

Left = Literal["quit", "ended", "eof"]

_QUEUED = 1024  #: pieces of output that wait for a slow terminal; older ones are dropped
_LOOK_SECONDS = 0.1


class Screen:
    """Writes to a file descriptor from a thread; what a stalled reader cannot take is dropped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._thread = threading.Thread(target=self._main, name="screen", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        while True:
            try:
                self._queue.put_nowait(data)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._queue.get_nowait()

    def _main(self) -> None:
        while (data := self._queue.get()) is not None:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                return  # the window is closed; its SIGHUP ends us

    def close(self, patience: float = 1.0) -> None:
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(patience)


class Terminal:
    """Joins stdin and stdout with a console until the person quits, the line ends or input does."""

    def __init__(self, console: Console, stdin: int = 0, stdout: int = 1) -> None:
        self._console = console
        self._in = stdin
        self._out = stdout
        self._keys = Keys()
        self._is_tty = os.isatty(stdin)

    async def run(self) -> Left:
        """On the console's loop. The tty must be raw (see `raw_mode`)."""
        typed: asyncio.Queue[bytes] = asyncio.Queue()
        screen = Screen(self._out)
        ignore = self._console.tap(screen.write)
        answered, self._console.answers_cursor = self._console.answers_cursor, not self._is_tty
        stop_reading = _read_into(self._in, typed)
        try:
            screen.write(self._console.clear())
            return await self._pump(typed, screen)
        finally:
            stop_reading()
            ignore()
            self._console.answers_cursor = answered
            screen.close()

    async def _pump(self, typed: asyncio.Queue[bytes], screen: Screen) -> Left:
        while True:
            try:
                data = await asyncio.wait_for(typed.get(), _LOOK_SECONDS)
            except TimeoutError:
                if self._console.ended:
                    return "ended"
                continue
            if not data:
                return "eof"
            for part in self._keys.feed(data) if self._is_tty else [data]:
                try:
                    if isinstance(part, bytes):
                        await self._console.write(part)
                    elif part == "x":
                        return "quit"
                    else:
                        await self._command(part, screen)
                except SampanError:
                    if self._console.ended:
                        return "ended"
                    raise

    async def _command(self, letter: str, screen: Screen) -> None:
        if letter == "b":
            try:
                await self._console.send_break()
                _say(screen, "BREAK sent")
            except SampanError as error:
                _say(screen, error.message)
        elif letter == "w":
            size = os.get_terminal_size(self._out)
            await self._console.write(f"stty rows {size.lines} cols {size.columns}\r")
        elif letter == "l":
            log = self._console.log.path
            _say(screen, f"log: {shown(log)}" if log else "no log is written")
        else:
            for key, text in HELP.items():
                _say(screen, f"Ctrl-a {key}  {text}")


def _say(screen: Screen, text: str) -> None:
    screen.write(f"\r\n[sampan: {text}]\r\n".encode())


def _read_into(fd: int, typed: asyncio.Queue[bytes]) -> Callable[[], None]:
    """Put what comes from `fd` into the queue, b"" at its end; returns what stops it.

    The descriptor stays blocking: its flags are shared with the shell that started us.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            data = os.read(fd, 4096)
        except OSError:
            data = b""
        typed.put_nowait(data)
        if not data:
            loop.remove_reader(fd)

    try:
        loop.add_reader(fd, read)
    except PermissionError:  # a regular file is always ready, so epoll does not take it
        while data := os.read(fd, 65536):
            typed.put_nowait(data)
        typed.put_nowait(b"")
        return lambda: None

    def stop() -> None:
        loop.remove_reader(fd)

    return stop


@contextlib.contextmanager
def raw_mode(fd: int = 0) -> Iterator[None]:
    """Every key goes through as it is typed; the tty is as it was afterwards, whatever happens.

    Ctrl-Z is a key for the board here. A signal that ends us is turned into an exception by the
    command line, so that the old settings come back then, too.
    """
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    # In the background tcsetattr would stop us.
    old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield
    finally:
        with contextlib.suppress(termios.error):  # the window may be gone
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTTOU, old)


def announce() -> None:
    """How to get out, before anything else is on the screen."""
    print(f"[sampan: {ANNOUNCEMENT}]", file=sys.stderr, flush=True)
