"""The ways a line leads to a board: a serial adapter, a network port."""

from __future__ import annotations

import os
import pty
import select
import socket
import threading
import tty
from collections.abc import Callable

import serial.rfc2217
from pty_board import Board


def plugged(board: Board) -> socket.socket:
    """A further client of a board's socket, for what carries the bytes on."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(board.url.removeprefix("unix://"))
    return client


class Adapter:
    """A serial adapter: a device (pty) whose bytes are somebody else's, and that can be pulled out."""

    def __init__(self, partner: Callable[[bytes], bytes] | socket.socket) -> None:
        self._master, slave = pty.openpty()
        self.device = os.ttyname(slave)
        tty.setraw(slave)  # nothing is echoed before somebody opens it
        os.close(slave)
        self._partner = partner
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        partner = self._partner
        carried = partner if isinstance(partner, socket.socket) else None
        idle = 0.0
        while True:
            ready = select.select([self._wake, *([] if idle else [self._master]), *([carried] if carried else [])],
                                  [], [], idle or None)[0]  # fmt: skip
            idle = 0.0
            if self._wake in ready:
                break
            if carried in ready and carried is not None:
                data = carried.recv(65536)
                if not data:
                    break
                os.write(self._master, data)
            if self._master in ready:
                try:
                    data = os.read(self._master, 65536)
                except OSError:  # nobody has the device open
                    idle = 0.05
                    continue
                if carried is not None:
                    carried.sendall(data)
                elif callable(partner) and (answer := partner(data)):
                    os.write(self._master, answer)
        if carried is not None:
            carried.close()
        os.close(self._master)

    def unplug(self) -> None:
        """It is gone, with all that is open on it."""
        if self._thread.is_alive():
            os.write(self._waker, b"x")
        self._thread.join()


def serve_tcp(board: Board, *, rfc2217: bool = False) -> tuple[str, Callable[[], None]]:
    """A network port in front of a board's line, as ser2net makes one: its URL, and what ends it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def main() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, plugged(board) as line:
                _joined(peer, line, rfc2217)

    thread = threading.Thread(target=main, daemon=True)
    thread.start()

    def end() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()  # who is connected goes on until he leaves

    return f"{'rfc2217' if rfc2217 else 'socket'}://127.0.0.1:{listener.getsockname()[1]}", end


def _joined(peer: socket.socket, line: socket.socket, rfc2217: bool) -> None:
    class Wire:
        write = peer.sendall

    manager = serial.rfc2217.PortManager(serial.serial_for_url("loop://"), Wire()) if rfc2217 else None  # type: ignore[arg-type]
    while True:
        for ready in select.select([peer, line], [], [])[0]:
            try:
                data = ready.recv(65536)
            except OSError:
                return
            if not data:
                return
            if ready is peer:
                line.sendall(b"".join(manager.filter(data)) if manager else data)
            else:
                peer.sendall(b"".join(manager.escape(data)) if manager else data)
