"""A board without a board: a shell on a pty, with the runtime in its PATH."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import socket
import subprocess
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


class Board:
    """A shell on a pty behind a unix socket, as an emulator's console is, with the runtime in its PATH."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.url = f"unix://{folder}/line"
        (folder / "bin").mkdir()
        (folder / "bin" / "sampan").symlink_to(runtime)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(folder / "line"))
        self._server.listen(4)
        self._master, slave = pty.openpty()
        env = os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "PS1": "board# "}
        self.shell = subprocess.Popen(
            ["sh", "-i"], stdin=slave, stdout=slave, stderr=slave, env=env, cwd=folder, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.tty = os.ttyname(slave)
        os.close(slave)
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        clients: list[socket.socket] = []
        while True:
            ready = select.select([self._server, self._master, self._wake, *clients], [], [])[0]
            if self._wake in ready:
                break
            try:
                if self._server in ready:
                    clients.append(self._server.accept()[0])
                if self._master in ready:
                    data = os.read(self._master, 65536)
                    for client in clients:
                        client.sendall(data)
            except OSError:
                break  # the shell has ended
            for client in [client for client in clients if client in ready]:
                data = client.recv(65536)
                if data:
                    os.write(self._master, data)
                else:
                    clients.remove(client)
                    client.close()
        for client in clients:
            client.close()

    def say(self, text: bytes) -> None:
        """As the kernel would: on the same line, in the middle of everything."""
        fd = os.open(self.tty, os.O_WRONLY | os.O_NOCTTY)
        os.write(fd, text)
        os.close(fd)

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.write(self._waker, b"x")
        self._thread.join()
        for fd in (self._master, self._wake, self._waker):
            os.close(fd)
        self._server.close()


@contextlib.contextmanager
def running(folder: Path, runtime: Path) -> Iterator[Board]:
    """A board, and below its folder the owner of its line, which ends with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        board = Board(folder, runtime)
        try:
            yield board
        finally:
            board.close()
