"""A terminal of a target behind a descriptor of ours, and our own terminal joined with one."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import termios
import threading
import tty
from collections.abc import Iterator

from sampan.control.client import Connection
from sampan.control.packets import Kind
from sampan.core.errors import SampanError


def opened(connection: Connection) -> int:
    """The program of a connection at the other end of a descriptor, which the caller closes."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=_carry, args=(connection, ours), name="console", daemon=True).start()
    return theirs.detach()


def _carry(connection: Connection, ours: socket.socket) -> None:
    with connection, ours, contextlib.suppress(OSError, SampanError):
        while True:
            ready = select.select([connection.fileno(), ours.fileno()], [], [])[0]
            if ours.fileno() in ready:
                data = ours.recv(65536)
                if not data:
                    return
                connection.input(data)
            if connection.fileno() in ready:
                for kind, payload in connection.read():
                    if kind == Kind.END:
                        return
                    if kind != Kind.NOTE:
                        ours.sendall(payload)


def join(fd: int, stdinfd: int, stdoutfd: int) -> None:
    """Bytes between two descriptors and `fd` until its other side ends; closes it."""
    reading = True
    try:
        with _raw(stdinfd):
            while True:
                ready = select.select([fd, *([stdinfd] if reading else [])], [], [])[0]
                if stdinfd in ready:
                    data = os.read(stdinfd, 65536)
                    reading = bool(data)
                    os.write(fd, data)
                if fd in ready:
                    data = os.read(fd, 65536)
                    if not data:
                        return
                    while data:
                        data = data[os.write(stdoutfd, data) :]
    except OSError as error:
        print(f"sampan: {error.strerror}", file=sys.stderr)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _raw(fd: int) -> Iterator[None]:
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
