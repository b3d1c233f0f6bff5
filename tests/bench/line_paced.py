"""A simulated line in real time: between two ttys, or in front of a board's shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import socket
import termios
import threading
import tty
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pty_board import Board

from sampan.control.remote import Target
from sampan.control.target import resolve
from sampan.core.paths import build_dir
from sampan.serial.linerun import LineRunner
from sampan.serial.linespec import LineSpec


class PacedLine:
    """A pty pair with the simulated line between: programs at `host` and `board` have ttys."""

    def __init__(self, spec: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._fds: list[int] = []
        self.host, host = self._end()
        self.board, board = self._end()
        self._runner = LineRunner(LineSpec.parse(spec))
        self._loop.call_soon_threadsafe(self._runner.start, host, board)

    def _end(self) -> tuple[str, socket.socket]:
        """A raw tty, and a socket that carries what is written there."""
        master, slave = pty.openpty()
        tty.setraw(slave, termios.TCSANOW)
        ours, theirs = socket.socketpair()
        self._fds += [master, slave]
        threading.Thread(target=_copy, args=(lambda: os.read(master, 4096), ours.sendall), daemon=True).start()
        threading.Thread(
            target=_copy, args=(lambda: ours.recv(4096), lambda data: os.write(master, data)), daemon=True
        ).start()
        return os.ttyname(slave), theirs

    def close(self) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (self._runner.close(), self._loop.stop(), done.set()))
        done.wait(5)


def _copy(read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    with contextlib.suppress(OSError):
        while data := read():
            write(data)


class PacedBoard:
    """A board's shell behind the simulated line, at a socket that `sampan on` opens."""

    def __init__(self, spec: str, folder: Path) -> None:
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
        self._board = Board(folder, build_dir() / "arch" / os.uname().machine / "sampan")
        self.path = f"{folder}/paced"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen(1)
        self._spec = LineSpec.parse(spec)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        threading.Thread(target=self._serve, daemon=True).start()
        self.target = Target(replace(resolve(f"unix://{self.path}"), target="bench"))

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._server.accept()[0]
                inner = socket.socket(socket.AF_UNIX)
                inner.connect(self._board.url.removeprefix("unix://"))
                self._loop.call_soon_threadsafe(LineRunner(self._spec).start, client, inner)

    def close(self) -> None:
        self._board.close()
        self._server.close()
