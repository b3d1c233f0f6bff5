"""Where running machines are found by name: one folder each, held by a lock as long as its keeper lives.

    $XDG_RUNTIME_DIR/sampan/vm/NAME/   (else ~/.cache/sampan/run/vm/NAME/), mode 0700
        lock           locked (by its open description) means that the machine's keeper lives
        state.json     State: what `sampan vm ls` shows; replaced as a whole at each change
        console.log    every byte of the console, from the first one on
        console.sock   the console for clients: raw bytes both ways, any number of them
        agent.sock     the same of a port that an agent has for itself; not with a simulated line
        qmp.sock       QMP for one client at a time

Nobody trusts a process id here: a keeper that was killed gave its lock back, and QEMU died with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import refuse_os_error, write_bytes

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
_SOCKET_PATH_MAX = 107  #: bytes of a unix socket's path (sun_path)
_FLOCK = "hhqqi4x"  #: struct flock: type, whence, start, length, pid
_END_SECONDS = 15.0  #: a keeper cuts the power and writes the last state; it takes far less
LIVE = ("starting", "booting", "running", "paused")


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One machine as its keeper sees it. `state` is one of LIVE or "ended"; `reason` says why."""

    name: str
    board: str
    state: str = "starting"
    reason: str = ""  #: poweroff, reset, panic, watchdog, quit, killed, died, lost; why it is paused
    detail: str = ""  #: such as the kernel's panic line, or QEMU's last words
    keeper: int = 0  #: process id
    pid: int = 0  #: QEMU's
    started: float = 0.0  #: seconds since the epoch
    resets: int = 0  #: how often it has rebooted
    cgroup: str = ""
    accel: str = ""
    line: str = ""  #: the simulated line between QEMU and clients; "" when there is none
    fast: bool = False  #: it began with a boot snapshot
    image: str = ""  #: folder with the image.json
    argv: tuple[str, ...] = ()  #: QEMU's command

    @property
    def alive(self) -> bool:
        return self.state in LIVE


class Place:
    """The folder of one machine."""

    def __init__(self, name: str) -> None:
        if not _NAME.match(name):
            raise SampanError(f"{name!r}: no name for a machine", hint="letters, digits, . _ -", code=EXIT_USAGE)
        self.name = name
        self.folder = root() / name
        self.log = self.folder / "console.log"
        self.console = self.folder / "console.sock"
        self.agent = self.folder / "agent.sock"
        self.qmp = self.folder / "qmp.sock"
        self.keeper_log = self.folder / "keeper.log"
        if len(os.fsencode(self.console)) > _SOCKET_PATH_MAX:
            raise SampanError(f"{self.console}: longer than a socket's path can be", hint="set XDG_RUNTIME_DIR")

    def claim(self) -> int:
        """Take the name: an empty folder and its lock, as a descriptor. Raises when a machine lives there."""
        state = self.read()
        if state is not None and not state.alive:
            self._until_free()  # its keeper has said its last word and is about to end
        for _ in range(100):
            fd = self._open_lock()
            try:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _lock_request(fcntl.F_WRLCK))
                if os.stat(self.folder / "lock").st_ino == os.fstat(fd).st_ino:
                    self._empty()
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise SampanError(
                    f"{self.name}: a machine of this name is running",
                    hint=f"--name for another one, `sampan vm down {self.name}` ends it",
                ) from None
            except FileNotFoundError:
                pass  # its last owner removed the folder between our opening and locking
            os.close(fd)
        raise SampanError(f"{self.folder}: is removed again and again")

    def _open_lock(self) -> int:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            refuse_os_error(error, "write", self.folder)

    def _empty(self) -> None:
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()

    def remove(self) -> None:
        """Forget the machine. The caller holds the lock."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def held(self) -> bool:
        """Whether a keeper lives."""
        try:
            fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            # A question only: a lock taken for a look would refuse somebody who claims the name just then.
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _lock_request(fcntl.F_WRLCK))
        finally:
            os.close(fd)
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)

    def write(self, state: State) -> None:
        write_bytes(self.folder / "state.json", msgspec.json.encode(state), mode=0o600)

    def read(self) -> State | None:
        """Its state now; None when there is none. A keeper that is gone without a word is said."""
        held = self.held
        try:
            state = msgspec.json.decode((self.folder / "state.json").read_bytes(), type=State)
        except (OSError, msgspec.MsgspecError):
            return State(name=self.name, board="?") if held else None
        if state.alive and not held:
            # Its end may have been written between the two looks.
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                state = msgspec.json.decode((self.folder / "state.json").read_bytes(), type=State)
            if state.alive:
                detail = "its keeper was killed, and QEMU with it"
                return msgspec.structs.replace(state, state="ended", reason="lost", detail=detail)
        return state

    def down(self) -> bool:
        """End the machine and forget it; whether there was one. Every process is gone afterwards."""
        state = self.read()
        if state is None and not self.folder.exists():
            return False
        if state is not None and self.held:
            self._end_keeper(state)
        fd = self.claim()
        try:
            self.remove()
        finally:
            os.close(fd)
        return True

    def _end_keeper(self, state: State) -> None:
        try:
            pidfd = os.pidfd_open(state.keeper)
        except OSError:
            return self._until_free()
        try:
            if self.held:  # it still lives, so the pidfd is its
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
                if not self._free_within(_END_SECONDS):
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
        self._until_free()

    def _until_free(self) -> None:
        if not self._free_within(_END_SECONDS):
            raise SampanError(f"{self.name}: does not end", hint=f"see {self.keeper_log}")

    def _free_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.held:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True


def _lock_request(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def runtime() -> Path:
    """What lives no longer than this user's machines."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base).absolute() / "sampan" if base else paths.cache_dir() / "run"


def root() -> Path:
    """The folder of all machines of this user."""
    return runtime() / "vm"


def switches() -> Path:
    """The folder of all virtual switches of this user."""
    return runtime() / "net"


def all_places() -> Iterator[Place]:
    """Every machine there is or was, by name."""
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(root().iterdir()):
            if _NAME.match(folder.name) and folder.is_dir():
                yield Place(folder.name)


def find(name: str) -> tuple[Place, State]:
    """A machine that lives. Raises SampanError with what there is instead."""
    place = Place(name)
    state = place.read()
    if state is None:
        names = [other.name for other in all_places() if other.held]
        hint = did_you_mean(name, names) if names else f"`sampan vm up {name}` starts a board's"
        raise SampanError(f"{name}: there is no such machine", hint=hint)
    if not state.alive:
        why = ": ".join(filter(None, [state.reason, state.detail.partition("\n")[0]]))
        raise SampanError(f"{name}: has ended ({why})", hint=f"log: {place.log}")
    return place, state


def free_name(wanted: str) -> tuple[Place, int]:
    """The first of NAME, NAME-2, NAME-3... that no machine has, claimed."""
    for number in range(1, 1000):
        place = Place(wanted if number == 1 else f"{wanted}-{number}")
        if place.held:
            continue
        try:
            return place, place.claim()
        except SampanError:
            if not place.held:  # else somebody was faster
                raise
    raise SampanError(f"{wanted}: a thousand machines have this name")
