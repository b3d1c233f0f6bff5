"""Opening a serial line by its name: a device, a pty, socket://, unix:// or rfc2217://.

pyserial opens and configures; reading is the loop's (see transport.py). Two of pyserial's
habits shape this file: every property that is set runs tcsetattr again, which raises once a
pty's other end is gone, so all settings are given at the opening; and rfc2217:// has no file
descriptor, so a thread of ours reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
import termios
import threading
from pathlib import Path

import serial

from sampan.core.errors import EXIT_MISSING, EXIT_USAGE, SampanError
from sampan.serial.transport import FdTransport, LineLost, OnData, OnEnd, Transport, socket_transport

_LOCKS = Path("/run/lock")
_BREAK_SECONDS = 0.25
_POLL_SECONDS = 0.1  #: how soon the rfc2217 reader notices that it shall end
_URLS = ("socket://", "rfc2217://", "unix://")


class PortTransport(FdTransport):
    """A port opened by pyserial that has a file descriptor."""

    def __init__(self, port: serial.Serial, description: str) -> None:
        super().__init__(port.fileno(), description, port.close)
        self._port = port

    async def send_break(self) -> None:
        # It holds the line for the driver's own time, 0.25 s or more.
        try:
            await asyncio.get_running_loop().run_in_executor(None, termios.tcsendbreak, self._port.fileno(), 0)
        except termios.error as error:
            raise SampanError(f"{self.description}: no BREAK: {error.args[-1]}") from error


class ThreadTransport:
    """A port without a file descriptor (rfc2217), read by a thread."""

    def __init__(self, port: serial.Serial, description: str) -> None:
        self.description = description
        self._port = port
        self._open = True

    def start(self, on_data: OnData, on_end: OnEnd) -> None:
        loop = asyncio.get_running_loop()

        def deliver(call: OnData | OnEnd, value: bytes | str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(call, value)  # type: ignore[arg-type]

        def read() -> None:
            try:
                while self._open:
                    data = self._port.read(max(1, self._port.in_waiting))
                    if data:
                        deliver(on_data, bytes(data))
            except (serial.SerialException, OSError, TypeError) as error:
                # TypeError: pyserial's read() meets its own close() in another thread.
                if self._open:
                    deliver(on_end, str(error))

        threading.Thread(target=read, name=f"read {self.description}", daemon=True).start()

    async def write(self, data: bytes) -> None:
        if not self._open:
            raise LineLost(f"{self.description}: the line is closed")
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._port.write, data)
        except (serial.SerialException, OSError) as error:
            raise LineLost(f"{self.description}: cannot send: {error}") from error

    async def send_break(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._port.send_break, _BREAK_SECONDS)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._port.close()


def open_port(name: str, baud: int = 115200) -> Transport:
    """Open `name` (a device or pty path, socket://HOST:PORT, unix://PATH, rfc2217://HOST:PORT), 8N1.

    A device is locked: a second program that wants it gets an error instead of half of the bytes.
    """
    if name.startswith("unix://"):
        return _open_unix(name.removeprefix("unix://"))
    if "://" in name and not name.startswith(_URLS):
        raise SampanError(f"{name}: not a serial line", hint=f"a device path or {', '.join(_URLS)}", code=EXIT_USAGE)
    if "://" not in name:
        _check_device(Path(name))
        others = holders(name)
        if others:  # many lock nothing; two readers would each get a part of the bytes
            raise _in_use(name, others)
    exclusive = None if "://" in name else True
    try:
        port = serial.serial_for_url(name, baudrate=baud, timeout=_POLL_SECONDS, exclusive=exclusive)
    except (serial.SerialException, OSError, ValueError) as error:
        raise _explain(name, baud, error) from error
    description = f"{name} at {baud} baud"
    if name.startswith("rfc2217://"):
        return ThreadTransport(port, description)
    return PortTransport(port, name if name.startswith("socket://") else description)


def _check_device(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        near = sorted(str(other) for other in Path("/dev").glob("tty[UA][SCM][BAX]*"))
        hint = f"serial adapters here: {', '.join(near)}" if near else "no USB serial adapter is plugged in here"
        raise SampanError(f"{path}: there is no such device", hint=hint, code=EXIT_MISSING) from None
    except OSError as error:
        raise SampanError(f"{path}: {error.strerror}") from error
    if not stat.S_ISCHR(mode):
        raise SampanError(f"{path}: not a serial device", code=EXIT_USAGE)


def _open_unix(path: str) -> Transport:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        raise SampanError(f"unix://{path}: {error.strerror or error}", hint="is the other side running?") from error
    return socket_transport(sock, f"unix://{path}")


def _explain(name: str, baud: int, error: Exception) -> SampanError:
    """What pyserial said, with who may hold the port and what to do."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number in (errno.EACCES, errno.EPERM):
        return SampanError(f"{name}: no permission to open it", hint=_permission_hint(name))
    if number in (errno.EAGAIN, errno.EBUSY) or "lock" in text.lower():
        return _in_use(name, holders(name))
    if isinstance(error, ValueError) or number == errno.EINVAL:
        return SampanError(f"{name}: cannot be set to {baud} baud, 8N1: {text}", code=EXIT_USAGE)
    if number in (errno.ECONNREFUSED, None) and "://" in name:
        return SampanError(f"{name}: nobody answers: {text}", hint="check host and port (ser2net running?)")
    return SampanError(f"{name}: {text}")


def _in_use(name: str, others: list[str]) -> SampanError:
    return SampanError(
        f"{name}: in use by {'; '.join(others) or 'another program'}", hint="end that program, or use another line"
    )


def _permission_hint(name: str) -> str:
    try:
        group = grp.getgrgid(os.stat(name).st_gid).gr_name
    except (OSError, KeyError):
        return ""
    return f"it belongs to group {group!r}: `sudo adduser $USER {group}`, then log in again"


def holders(name: str) -> list[str]:
    """ "picocom, pid 123 of ann" for every other process that has the device open, as far as we may look.

    Where we may not, the lock file of those that leave one (minicom, picocom, pppd) tells the process.
    """
    device = os.stat(name)
    pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
    found = [pid for pid in pids if pid != os.getpid() and _has_open(pid, device)]
    with contextlib.suppress(OSError, ValueError):
        pid = int((_LOCKS / f"LCK..{os.path.basename(os.path.realpath(name))}").read_text().split()[0])
        found += [pid] if pid in pids and pid not in (os.getpid(), *found) else []
    return [_described(pid) for pid in found]


def _has_open(pid: int, device: os.stat_result) -> bool:
    """By what the descriptors are: a name may be another device in another mount namespace."""
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                each = fd.stat()
                if each.st_rdev == device.st_rdev and each.st_dev == device.st_dev and stat.S_ISCHR(each.st_mode):
                    return True
    return False


def _described(pid: int) -> str:
    name, owner = "a program", 0
    with contextlib.suppress(OSError):
        owner = os.stat(f"/proc/{pid}").st_uid
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        name = "sampan" if b"sampan.control.broker" in Path(f"/proc/{pid}/cmdline").read_bytes() else name
    return f"{name}, pid {pid} of {owner_name(owner)}"


def owner_name(uid: int) -> str:
    """A user's name, or the number when there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
