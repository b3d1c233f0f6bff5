"""The log of a line: every byte, with the time since start and where it came from.

Each line of the file is `[STAMP] SOURCE TEXT`: `<` from the board, `>` sent to it, `!` from the
emulator's stderr, `*` a note of sampan. A stamp is the time of the first byte of its line (seconds
since the start, or the date where a log is kept), and the text is written as it arrives, so
`tail -f` and a killed process see all there was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Literal

from sampan.core.errors import SampanError
from sampan.core.files import refuse_os_error

Source = Literal["<", ">", "!", "*"]
_TAIL_LINES = 25
_LONG_LINE = 4096
_KEPT = 4  #: older files


class LogBusy(SampanError):
    """Somebody else writes this log file."""


class LineLog:
    """Writes the log file and remembers the last lines that came from the board."""

    def __init__(self, path: Path | None, *, keep: int = 0) -> None:
        """`keep`: go on with an existing log, stamped with dates, and begin a new file after so many bytes.

        Older files are PATH.1 (the youngest) to PATH.4. Without it the log begins empty and is one file.
        """
        self.path = path
        self._keep = keep
        self._fd = -1
        self._size = 0
        if path is not None:
            self._open(path)
        self._started = time.monotonic()
        self._source: Source | None = None  #: of the line that is not ended yet
        self._failed = False
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._partial = b""

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            # Held as long as it is written: who looks for a free name can tell.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._keep:
                os.ftruncate(self._fd, 0)
            self._size = os.fstat(self._fd).st_size
        except BlockingIOError:
            os.close(self._fd)
            raise LogBusy(f"{path}: another machine writes this log", hint="--log FILE") from None
        except OSError as error:
            refuse_os_error(error, "write", path)

    def _turn_over(self) -> None:
        """The file is long enough: it becomes PATH.1."""
        path = self.path
        if path is None or self._fd < 0 or self._failed:
            return
        names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, _KEPT + 1))]
        for older, younger in zip(reversed(names), reversed(names[:-1]), strict=False):
            with contextlib.suppress(OSError):
                younger.replace(older)
        os.close(self._fd)
        try:
            self._open(path)
        except SampanError:
            self._failed = True

    def _stamp(self) -> str:
        if self._keep:
            return datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        return f"{time.monotonic() - self._started:10.3f}"

    def write(self, source: Source, data: bytes) -> None:
        """Append bytes of one source; a change of source begins a new line."""
        if source == "<":
            self._remember(data)
        # Between two lines if there is an end of a line in reasonable time.
        if self._keep and self._size > self._keep * (1 if self._source is None else 2):
            self._turn_over()
        out = []
        if self._source not in (None, source):
            out.append("\n")
            self._source = None
        for line in data.replace(b"\r", b"").splitlines(keepends=True):
            if self._source is None:
                out.append(f"[{self._stamp()}] {source} ")
            out.append(_printable(line))
            self._source = None if line.endswith(b"\n") else source
        self._put("".join(out))

    def note(self, text: str) -> None:
        """A line of sampan's own."""
        self.write("*", text.encode() + b"\n")

    def tail(self) -> list[str]:
        """The last lines that came from the board, for error messages."""
        lines = [*self._tail, *([_printable(self._partial)] if self._partial.strip() else [])]
        return [line for line in lines if line.strip()][-_TAIL_LINES:]

    def close(self) -> None:
        if self._fd >= 0:
            if self._source is not None:
                self._put("\n")
            os.close(self._fd)
            self._fd = -1

    def _remember(self, data: bytes) -> None:
        *lines, rest = (self._partial + data).replace(b"\r\n", b"\n").split(b"\n")
        self._tail.extend(_printable(line) for line in lines)
        self._partial = rest[-_LONG_LINE:]

    def _put(self, text: str) -> None:
        if self._fd < 0 or self._failed:
            return
        view = memoryview(text.encode())
        try:
            self._size += len(view)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            # A full disk must not stop the draining of the line: the machine would freeze.
            self._failed = True


def _printable(data: bytes) -> str:
    """Text with control characters as escapes, so that a log never drives the reader's terminal."""
    text = data.decode("utf-8", errors="backslashreplace")
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)
