"""Programs inside a container, the way python-lxc runs them: with the script's own descriptors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NoReturn, Protocol

from sampan.control.calls import Call, Done, OnOutput

_Perform = Callable[[Call], Done]


class File(Protocol):
    """What has a descriptor."""

    def fileno(self) -> int: ...


def attach_run_command(command: object) -> NoReturn:
    """For `attach` and `attach_wait`: runs its argument, a word, a list of words, or (program, words)."""
    raise TypeError("attach_run_command is for Container.attach and attach_wait")


def attach_run_shell(nothing: object = None) -> NoReturn:
    """For `attach` and `attach_wait`: runs a shell."""
    raise TypeError("attach_run_shell is for Container.attach and attach_wait")


def command_of(run: object, payload: object) -> list[str]:
    """The words that `attach(run, payload)` runs. TypeError for a function: the target has no Python."""
    if run is attach_run_shell:
        return ["sh", "-l"]
    if run is not attach_run_command:
        raise TypeError("attach: only attach_run_command and attach_run_shell can run on a target, no function of here")
    if isinstance(payload, str):
        return [payload]
    if isinstance(payload, tuple):
        program, words = payload
        return [program, *words[1:]]
    if not isinstance(payload, list) or not payload:
        raise TypeError(f"attach_run_command: {payload!r} is no command")
    return [str(word) for word in payload]


def writers(stdout: File | int | None, stderr: File | int | None) -> tuple[OnOutput, OnOutput]:
    """Output of a program there goes where it would go here."""
    return _writer(_fd(stdout, 1)), _writer(_fd(stderr, 2))


def _writer(fd: int) -> OnOutput:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    return write


def _fd(given: File | int | None, default: int) -> int:
    return default if given is None else given if isinstance(given, int) else given.fileno()


def read_all(given: File | int | None) -> bytes:
    """What a program there gets as its stdin: all of it."""
    if given is None:
        return b""
    found = bytearray()
    while data := os.read(_fd(given, 0), 65536):
        found += data
    return bytes(found)


def background(inner: Call) -> tuple[str, ...]:
    """Words that say their process id in a line of its own, and become the verb `inner`."""
    return ("sh", "-c", 'echo $$;exec sampan "$@"', "sh", *inner.words)


class FirstLine:
    """Takes the first line of stdout for itself and passes the rest on."""

    def __init__(self, write: OnOutput, known: Callable[[], None]) -> None:
        self._head, self._write, self._known, self._seen = bytearray(), write, known, False

    def __call__(self, data: bytes) -> None:
        if self._seen:
            return self._write(data)
        self._head += data
        if b"\n" in self._head:
            self._seen = True
            self._known()
            self._write(bytes(self._head).partition(b"\n")[2])

    @property
    def number(self) -> int:
        """The line as a number, -1 when it is none."""
        line = bytes(self._head).partition(b"\n")[0]
        return int(line) if line.isdigit() else -1


def started(perform: _Perform, inner: Call, to: tuple[OnOutput, OnOutput]) -> int:
    """Start a verb and let it run on; the process id there."""
    known = threading.Event()
    first = FirstLine(to[0], known.set)

    def work() -> None:
        try:
            perform(Call(background(inner), inner.stdin, on_stdout=first, on_stderr=to[1]))
        finally:
            known.set()

    threading.Thread(target=work, name="attached", daemon=True).start()
    known.wait()
    return first.number
