"""A person's terminal on a line, beside whatever else runs over it: `sampan terminal`.

The line's broker drains, logs and shares the line; here are only keys and a screen. When a real line
is lost (an adapter is unplugged, a network port closed) the terminal waits until it is back.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from sampan.control.client import Connection, LineFailure
from sampan.control.lines import LinePlace
from sampan.control.packets import Kind
from sampan.control.target import Line
from sampan.core.paths import shown
from sampan.serial.keys import HELP, Keys
from sampan.serial.terminal import announce, raw_mode

_QUIET_SECONDS = 1.0  #: after the end of a pipe's input the answer is awaited until nothing more comes
_AGAIN_SECONDS = 1.0  #: between two looks for a lost line


class _Quit(Exception):
    """The person is done."""


class Terminal:
    """Joins stdin and stdout with a line."""

    def __init__(self, line: Line, *, watch: bool = False, stdin: int = 0, stdout: int = 1) -> None:
        self._line = line
        self._watch = watch
        self._in = stdin
        self._out = stdout
        self._keys = Keys()
        self._is_tty = os.isatty(stdin)
        self._input_ended = False

    def run(self) -> str:
        """Until the person quits ("") or the machine behind the line ends (why). The tty must be raw.

        Raises LineFailure when the line cannot be had at all.
        """
        connection = self._connect()
        while True:
            try:
                with connection:
                    self._join(connection)
            except _Quit:
                return ""
            except LineFailure as failure:
                if self._line.machine:
                    return failure.message
                self._say(failure.message.partition("\n")[0])
            try:
                connection = self._until_back()
            except _Quit:
                return ""

    def _connect(self) -> Connection:
        return Connection(self._line, {"do": "terminal", "watch": self._watch, "tty": self._is_tty})

    def _join(self, connection: Connection) -> None:
        while True:
            wanted = [connection.fileno(), *([] if self._input_ended else [self._in])]
            ready = select.select(wanted, [], [], _QUIET_SECONDS if self._input_ended else None)[0]
            if not ready:
                raise _Quit
            if connection.fileno() in ready:
                for kind, payload in connection.read():
                    self._show(kind, payload)
            if self._in in ready:
                self._pass_on(os.read(self._in, 4096), connection)

    def _pass_on(self, data: bytes, connection: Connection) -> None:
        if not data:
            if self._is_tty:
                raise _Quit
            self._input_ended = True
        for part in self._keys.feed(data) if self._is_tty else [data]:
            if isinstance(part, bytes):
                connection.send(Kind.INPUT, part)
            else:
                self._command(part, connection)

    def _command(self, letter: str, connection: Connection) -> None:
        if letter == "x":
            raise _Quit
        if letter in "bt":
            connection.send(Kind.COMMAND, letter.encode())
        elif letter == "w":
            size = os.get_terminal_size(self._out)
            connection.send(Kind.INPUT, f"stty rows {size.lines} cols {size.columns}\r".encode())
        elif letter == "l":
            self._say(f"log: {shown(LinePlace(self._line.url).log)}")
        else:
            for key, text in HELP.items():
                self._say(f"Ctrl-a {key}  {text}")

    def _until_back(self) -> Connection:
        """The line again, once it is there."""
        told = ""
        while True:
            try:
                connection = self._connect()
                for kind, payload in connection.read():
                    self._show(kind, payload)
                self._say("the line is back")
                return connection
            except LineFailure as failure:
                now = failure.message.partition("\n")[0]
                if now != told:
                    told = now
                    self._say(f"{now}; waiting for it, Ctrl-a x quits")
            end = time.monotonic() + _AGAIN_SECONDS
            while (left := end - time.monotonic()) > 0:
                if self._input_ended or not select.select([self._in], [], [], left)[0]:
                    continue
                data = os.read(self._in, 4096)
                if not data or "x" in self._keys.feed(data):
                    raise _Quit

    def _show(self, kind: Kind, payload: bytes) -> None:
        if kind == Kind.STDOUT:
            self._write(payload)
        elif kind == Kind.NOTE:
            self._say(payload.decode())

    def _say(self, text: str) -> None:
        self._write(f"\r\n[sampan: {text}]\r\n".encode())

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]


def sit(line: Line, *, watch: bool = False) -> str:
    """A terminal on a line for the person at stdin and stdout; see Terminal.run."""
    if os.isatty(0):
        announce()
    with raw_mode():
        return Terminal(line, watch=watch).run()


def on_resize(tell: Callable[[int, int], None]) -> None:
    """Call `tell(rows, columns)` whenever the window changes its size."""

    def resized(number: int, frame: FrameType | None) -> None:
        size = os.get_terminal_size(sys.stdout.fileno())
        tell(size.lines, size.columns)

    signal.signal(signal.SIGWINCH, resized)
