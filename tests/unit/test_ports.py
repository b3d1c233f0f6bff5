"""Opening serial lines by name: a pty stands for a device, sockets are real ones."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import serial.rfc2217

from sampan.core.errors import EXIT_MISSING, EXIT_USAGE, SampanError
from sampan.serial.ports import open_port
from sampan.serial.transport import LineLost, Transport


def echoed(transport: Transport, data: bytes) -> bytes:
    """Send `data` and return the same number of bytes from the line."""

    async def main() -> bytes:
        got = bytearray()
        arrived = asyncio.Event()

        def on_data(piece: bytes) -> None:
            got.extend(piece)
            arrived.set()

        transport.start(on_data, lambda reason: arrived.set())
        await transport.write(data)
        while len(got) < len(data):
            arrived.clear()
            await asyncio.wait_for(arrived.wait(), 30)
        transport.close()
        return bytes(got)

    return asyncio.run(main())


def test_a_device(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    transport = open_port(name, 115200)
    threading.Thread(target=lambda: os.write(ours, os.read(ours, 100)), daemon=True).start()
    assert echoed(transport, b"hello\x00\xff") == b"hello\x00\xff"
    os.close(theirs)
    os.close(ours)


def test_a_device_in_use_names_who_has_it() -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    first = open_port(name)
    with pytest.raises(SampanError, match="in use by another program") as caught:
        open_port(name)
    assert "end that program" in caught.value.hint
    first.close()
    open_port(name).close()
    os.close(theirs)
    os.close(ours)


def test_a_device_that_goes_away_ends_the_line() -> None:
    ours, theirs = pty.openpty()
    transport = open_port(os.ttyname(theirs))
    os.close(theirs)

    async def main() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport.start(lambda data: None, ended.set_result)
        os.close(ours)
        reason = await asyncio.wait_for(ended, 30)
        with pytest.raises(LineLost, match="the line is closed"):
            await transport.write(b"x")
        return reason

    assert asyncio.run(main()) == ""


@pytest.mark.parametrize(
    ("name", "says", "code"),
    [
        ("/dev/ttyNONE7", "there is no such device", EXIT_MISSING),
        ("/etc/passwd", "not a serial device", EXIT_USAGE),
        ("telnet://box:23", "not a serial line", EXIT_USAGE),
        ("unix:///no/such/socket", "No such file", 1),
        ("socket://127.0.0.1:1", "nobody answers", 1),
    ],
)
def test_what_cannot_be_opened_is_explained(name: str, says: str, code: int) -> None:
    with pytest.raises(SampanError, match=says) as caught:
        open_port(name)
    assert caught.value.message.startswith(name)
    assert caught.value.code == code


def _serve(listener: socket.socket, talk: Callable[[socket.socket], None]) -> None:
    def main() -> None:
        peer, _ = listener.accept()
        with peer:
            talk(peer)

    threading.Thread(target=main, daemon=True).start()


def _echo(peer: socket.socket) -> None:
    while data := peer.recv(4096):
        peer.sendall(data)


def test_a_socket_of_each_kind(tmp_path: Path) -> None:
    data = os.urandom(200_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _serve(listener, _echo)
        assert echoed(open_port(f"socket://127.0.0.1:{listener.getsockname()[1]}"), data) == data
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "line"))
        listener.listen()
        _serve(listener, _echo)
        assert echoed(open_port(f"unix://{tmp_path / 'line'}"), data) == data


def _rfc2217(peer: socket.socket) -> None:
    """A server as ser2net is one, made of pyserial's own protocol manager on a loop-back port."""
    port = serial.serial_for_url("loop://", timeout=0.05)

    class Wire:
        @staticmethod
        def write(data: bytes) -> None:
            peer.sendall(data)

    manager = serial.rfc2217.PortManager(port, Wire())  # type: ignore[arg-type]

    def send() -> None:
        while port.is_open:
            if data := port.read(max(1, port.in_waiting)):
                peer.sendall(b"".join(manager.escape(data)))

    threading.Thread(target=send, daemon=True).start()
    while data := peer.recv(4096):
        port.write(b"".join(manager.filter(data)))
    port.close()


def test_rfc2217() -> None:
    data = bytes(range(256)) * 8
    with socket.create_server(("127.0.0.1", 0)) as listener:
        _serve(listener, _rfc2217)
        assert echoed(open_port(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}", 9600), data) == data
