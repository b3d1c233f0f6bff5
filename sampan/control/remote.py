"""A target from Python: run programs, move files, and containers with python-lxc's names.

target = sampan.connect("qemu:qemuarm")
print(target.run(["uname", "-m"]).check().output)
web = target.container("web")
web.start() and web.wait("RUNNING", 5)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sampan.control import consolefd, transfer
from sampan.control.calls import Call, Done, Reply
from sampan.control.client import Connection
from sampan.control.lxc import Container, Lxc
from sampan.control.power import Power
from sampan.control.target import Line, resolve
from sampan.control.transfer import Moved, Progress
from sampan.core.errors import SampanError

if TYPE_CHECKING:
    from sampan.serial.sync import SyncConsole


class Target:
    """A machine or board behind a line. Each call is one request; calls from several threads run side by side."""

    def __init__(self, line: Line, note: Callable[[str], None] = lambda text: None) -> None:
        self.line = line
        self._note = note

    def run(
        self,
        words: Sequence[str] | str,
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        verb: bool = False,
        ident: bytes = b"",
        output: Callable[[bytes], None] | None = None,
        passed: Callable[[int], None] | None = None,
    ) -> Done:
        """Run a program (a string: by sh) or a verb of sampan, to its end.

        `ident`: 8 bytes; a request with one that was run before is not run again. `output` gets stdout
        as it comes, and the result has none then; `passed` how much of stdin has left. Raises SampanError
        when the line or the agent is lost; how far the program came is unknown then.
        """
        argv = ("sh", "-c", words) if isinstance(words, str) else tuple(words)
        return self.perform(Call(argv, stdin, verb, environment or {}, ident, output, on_passed=passed))

    def perform(self, call: Call) -> Done:
        """Carry a call out."""
        reply = Reply(call, self._note)
        with Connection(self.line, call.request()) as connection:
            feeding = threading.Thread(target=_feed, args=(connection, call.stdin), daemon=True)
            feeding.start()
            for kind, payload in connection.packets():
                reply.take(kind, payload)
        return reply.done()

    def verb(self, *words: str) -> Done:
        """A verb of sampan on the target: `target.verb("start", "web")`."""
        return self.run(words, verb=True)

    def push(
        self, local: Path | str, remote: str, *, mode: int | None = None, progress: Progress = lambda done, total: None
    ) -> Moved:
        """Copy a file to the target: what changed of it, compressed; in place only when its SHA-256 is right."""
        return transfer.push(self.perform, Path(local), remote, mode, progress)

    def pull(self, remote: str, local: Path | str, *, progress: Progress = lambda done, total: None) -> Moved:
        """Copy a file from the target in the same way; the local one is replaced only when all of it is right."""
        return transfer.pull(self.perform, remote, Path(local), progress)

    def containers(self) -> list[str]:
        """The names of the containers there are."""
        return self.verb("ls", "-1").check().output.split()

    @cached_property
    def lxc(self) -> Lxc:
        """What `import lxc` gives to a program that runs on the target: python-lxc's names."""
        return Lxc(self)

    def container(self, name: str) -> Container:
        """A container by name; it need not exist yet."""
        return self.lxc.Container(name)

    @property
    def power(self) -> Power:
        """Its power: `target.power.cycle()`."""
        return Power(self.line)

    def console(self, *, watch: bool = False) -> AbstractContextManager[SyncConsole]:
        """The console that a person sees: `with target.console() as c: c.expect("login: ")`; `watch`: only to look."""
        from sampan.control.linetransport import joined

        return joined(self.line, watch=watch)

    def console_fd(self, words: Sequence[str]) -> int:
        """A verb that wants a terminal, at the other end of a descriptor; closing that gives it up."""
        request = {"do": "run", "words": list(words), "verb": True, "terminal": True, "urgent": True}
        return consolefd.opened(Connection(self.line, request))


def _feed(connection: Connection, stdin: bytes) -> None:
    try:
        if stdin:
            connection.input(stdin)
        connection.input(b"")
    except (SampanError, OSError):
        pass  # the reading side says why


def connect(target: str, note: Callable[[str], None] = lambda text: None) -> Target:
    """A target by its name; see `resolve`. $SAMPAN_PASSWORD is given to a login that asks for one."""
    return Target(resolve(target), note)
