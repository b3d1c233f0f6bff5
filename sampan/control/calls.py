"""What is asked of a target, and how it ended: words that all ways to ask share.

An operation on a container is a generator: it yields calls and is sent how each ended, and its
return value is the operation's. Whoever drives it decides how the calls get to the target: one after
the other (`drive`), or on an asyncio loop. So each operation stands once, and is a pure function of what
the target says.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sampan.control.packets import Kind
from sampan.core.errors import SampanError

_T = TypeVar("_T")
#: Takes output as it comes.
OnOutput = Callable[[bytes], None]


class TargetError(SampanError):
    """A command on the target failed."""


@dataclass(frozen=True)
class Call:
    """A program on the target, or (`verb`) a verb of its sampan, to its end."""

    words: tuple[str, ...]
    stdin: bytes = b""
    verb: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    ident: bytes = b""  #: 8 bytes; a call with one that ran before is not run again
    on_stdout: OnOutput | None = None  #: gets it instead of Done
    on_stderr: OnOutput | None = None
    on_passed: Callable[[int], None] | None = None  #: is told how many bytes of stdin have left

    def request(self) -> dict[str, object]:
        """For the line's broker."""
        return {
            "do": "run",
            "words": list(self.words),
            "verb": self.verb,
            "environment": dict(self.environment),
            "ident": self.ident.hex(),
            "passed": self.on_passed is not None,
        }


@dataclass(frozen=True)
class Done:
    """How a program ended and what it wrote. `repeated`: it had run before and was not run again."""

    words: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes
    repeated: bool = False

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def output(self) -> str:
        """stdout as text.

        >>> Done(("date", "+%Y"), 0, b"2024\\n", b"").output
        '2024\\n'
        """
        return self.stdout.decode("utf-8", errors="backslashreplace")

    def check(self) -> Done:
        """Itself when the status is 0, else TargetError with what it said.

        >>> Done(("false",), 1, b"", b"no way\\n").check()
        Traceback (most recent call last):
        sampan.control.calls.TargetError: on the target: false: exit status 1
          | no way
        """
        if self.status:
            said = (self.stderr or self.stdout).decode("utf-8", errors="backslashreplace").strip()
            lines = "".join(f"\n  | {line}" for line in said.splitlines()[-25:])
            raise TargetError(f"on the target: {shlex.join(self.words)}: exit status {self.status}{lines}")
        return self


class Reply:
    """Gathers what the line's broker says to a call."""

    def __init__(self, call: Call, note: Callable[[str], None]) -> None:
        self._call, self._note = call, note
        self._stdout, self._stderr = bytearray(), bytearray()
        self._end: dict[str, int] = {}

    def take(self, kind: Kind, payload: bytes) -> None:
        """One packet."""
        if kind == Kind.END:
            self._end = json.loads(payload)
        elif kind == Kind.NOTE:
            self._note(payload.decode())
        elif kind == Kind.PASSED:
            if self._call.on_passed:
                self._call.on_passed(int(payload))
        elif kind == Kind.STDOUT:
            (self._call.on_stdout or self._stdout.extend)(payload)
        else:
            (self._call.on_stderr or self._stderr.extend)(payload)

    def done(self) -> Done:
        """After the END."""
        end, out, err = self._end, bytes(self._stdout), bytes(self._stderr)
        return Done(self._call.words, int(end["status"]), out, err, bool(end.get("repeated")))


Steps = Generator[Call, Done, _T]


def drive(steps: Steps[_T], run: Callable[[Call], Done]) -> _T:
    """Carry an operation out, one call after the other.

    >>> def where():
    ...     done = yield Call(("pwd",))
    ...     return done.output.strip()
    >>> drive(where(), lambda call: Done(call.words, 0, b"/root\\n", b""))
    '/root'
    """
    try:
        call = next(steps)
        while True:
            call = steps.send(run(call))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        steps.close()


async def drive_async(steps: Steps[_T], run: Callable[[Call], Awaitable[Done]]) -> _T:
    """The same on a loop."""
    try:
        call = next(steps)
        while True:
            call = steps.send(await run(call))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        steps.close()
