"""A target from Python: run programs, move files, and containers with python-lxc's names.

target = sampan.connect("qemu:qemuarm")
print(target.run(["uname", "-m"]).check().output)
web = target.container("web")
web.start() and web.wait("RUNNING", 5)
"""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sampan.control import transfer
from sampan.control.client import Connection
from sampan.control.packets import Kind
from sampan.control.target import Line, resolve
from sampan.control.transfer import Moved, Progress
from sampan.core.errors import SampanError


class TargetError(SampanError):
    """A command on the target failed."""


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
        """stdout as text."""
        return self.stdout.decode("utf-8", errors="backslashreplace")

    def check(self) -> Done:
        """Itself when the status is 0, else TargetError with what it said."""
        if self.status:
            said = (self.stderr or self.stdout).decode("utf-8", errors="backslashreplace").strip()
            lines = "".join(f"\n  | {line}" for line in said.splitlines()[-25:])
            raise TargetError(f"on the target: {shlex.join(self.words)}: exit status {self.status}{lines}")
        return self


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
    ) -> Done:
        """Run a program (a string: by sh) or a verb of sampan, to its end.

        `ident`: 8 bytes; a request with one that was run before is not run again. `output` gets stdout
        as it comes, and the result has none then. Raises SampanError
        when the line or the agent is lost; how far the program came is unknown then.
        """
        argv = ["sh", "-c", words] if isinstance(words, str) else list(words)
        request = {"do": "run", "words": argv, "verb": verb, "environment": environment, "ident": ident.hex()}
        stdout, stderr, end = bytearray(), bytearray(), {"status": 0}
        with Connection(self.line, request) as connection:
            feeding = threading.Thread(target=_feed, args=(connection, stdin), daemon=True)
            feeding.start()
            for kind, payload in connection.packets():
                if kind == Kind.END:
                    end = json.loads(payload)
                elif kind == Kind.NOTE:
                    self._note(payload.decode())
                elif kind == Kind.STDOUT and output:
                    output(payload)
                else:
                    (stdout if kind == Kind.STDOUT else stderr).extend(payload)
        return Done(tuple(argv), int(end["status"]), bytes(stdout), bytes(stderr), bool(end.get("repeated")))

    def verb(self, *words: str) -> Done:
        """A verb of sampan on the target: `target.verb("start", "web")`."""
        return self.run(words, verb=True)

    def push(
        self, local: Path | str, remote: str, *, mode: int | None = None, progress: Progress = lambda done, total: None
    ) -> Moved:
        """Copy a file to the target: what changed of it, compressed; in place only when its SHA-256 is right."""
        return transfer.push(self._program, Path(local), remote, mode, progress)

    def pull(self, remote: str, local: Path | str, *, progress: Progress = lambda done, total: None) -> Moved:
        """Copy a file from the target in the same way; the local one is replaced only when all of it is right."""
        return transfer.pull(self._program, remote, Path(local), progress)

    def _program(
        self,
        words: Sequence[str],
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        output: Callable[[bytes], None],
        passed: Callable[[int], None] | None = None,
    ) -> transfer.Ended:
        """What `transfer` runs its programs by."""
        done = self.run(words, stdin=stdin, environment=environment, output=output)
        return transfer.Ended(done.status, done.stderr)

    def containers(self) -> list[str]:
        """The names of the containers there are."""
        return self.verb("ls", "-1").check().output.split()

    def container(self, name: str) -> Container:
        """A container by name; it need not exist yet."""
        return Container(self, name)


class Container:
    """A container on a target, with the names and the meaning of python-lxc's `lxc.Container`."""

    def __init__(self, target: Target, name: str) -> None:
        self.target = target
        self.name = name

    def _do(self, verb: str, *words: str) -> bool:
        return self.target.verb(verb, "-n", self.name, *words).ok

    def _info(self, flag: str) -> str:
        done = self.target.verb("info", "-n", self.name, "-H", flag)
        return done.output.strip() if done.ok else ""

    @property
    def defined(self) -> bool:
        """There is a container of this name."""
        return self.name in self.target.containers()

    @property
    def state(self) -> str:
        """STOPPED, RUNNING, FROZEN, ..."""
        words = self._info("-s").split()
        return words[-1] if words else "STOPPED"

    @property
    def running(self) -> bool:
        return self.state != "STOPPED"

    @property
    def init_pid(self) -> int:
        """Its PID 1 as the target sees it, -1 when it does not run."""
        pid = self._info("-p")
        return int(pid) if pid.isdigit() else -1

    def get_ips(self) -> tuple[str, ...]:
        """Its addresses."""
        return tuple(self._info("-i").split())

    def get_config_item(self, key: str) -> str:
        """The value of a key of its configuration, "" when it is not set."""
        text = self.target.verb("info", "-n", self.name, "-c", key).output.strip()
        return text.partition("=")[2].strip()

    def create(self, template: str = "", *, config: str = "") -> bool:
        """Make it, from a template or a configuration file on the target."""
        return self._do("create", *(["-t", template] if template else []), *(["-f", config] if config else []))

    def start(self) -> bool:
        return self._do("start")

    def stop(self) -> bool:
        """Kill it."""
        return self._do("stop", "-k")

    def shutdown(self, timeout: int = 60) -> bool:
        """Ask it to end, and kill it when it does not within `timeout` seconds."""
        return self._do("stop", "-t", str(timeout))

    def reboot(self) -> bool:
        return self._do("stop", "-r")

    def freeze(self) -> bool:
        return self._do("freeze")

    def unfreeze(self) -> bool:
        return self._do("unfreeze")

    def destroy(self) -> bool:
        return self._do("destroy")

    def wait(self, state: str, timeout: int = -1) -> bool:
        """Until it is in `state`; false when it is not within `timeout` seconds (-1: for ever)."""
        return self._do("wait", "-s", state, "-t", str(timeout))

    def get_cgroup_item(self, key: str) -> str:
        return self.target.verb("cgroup", "-n", self.name, key).output.strip()

    def set_cgroup_item(self, key: str, value: str) -> bool:
        return self._do("cgroup", key, value)

    def attach_wait(self, words: Sequence[str], *, stdin: bytes = b"") -> int:
        """Run a program inside of it; its exit status."""
        return self.attach(words, stdin=stdin).status

    def attach(self, words: Sequence[str], *, stdin: bytes = b"") -> Done:
        """The same with its output."""
        return self.target.run(["attach", "-n", self.name, "--", *words], stdin=stdin, verb=True)


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
