"""Booting a built image: `booted()` gives a program a machine that is logged in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from sampan.build import image as images
from sampan.build.image import Image
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import atomic, refuse_os_error
from sampan.qemu import accel, machine
from sampan.qemu.instance import Exit, Instance, Sockets
from sampan.qemu.machine import BootOptions, Wiring
from sampan.serial.log import LineLog
from sampan.serial.session import COMMAND_SECONDS, LOGIN_SECONDS, Result
from sampan.serial.sync import LoopThread, SyncConsole, shared_loop

POWEROFF_SECONDS = 30.0
_SOCKET_PATH_MAX = 107  #: bytes of a unix socket's path (sun_path)


class Machine:
    """A running QEMU for ordinary code. Leaving the `with` block ends it, however it is left."""

    def __init__(self, instance: Instance, image: Image, folder: Path, why_accel: str, thread: LoopThread) -> None:
        self.instance = instance
        self.image = image
        self.folder = folder
        self.accel_reason = why_accel
        self.boot_cpu_seconds = 0.0  #: QEMU's processor time from exec to the shell
        self.console = SyncConsole(instance.console, thread)
        self._thread = thread

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def log(self) -> Path | None:
        """The console log."""
        return self.instance.log.path

    @property
    def pid(self) -> int:
        return self.instance.pid

    @property
    def running(self) -> bool:
        return self.instance.running

    @property
    def cpu_seconds(self) -> float:
        """Processor time QEMU has used so far."""
        return self.instance.cpu_seconds

    def login(self, user: str = "root", password: str = "", timeout: float = LOGIN_SECONDS) -> None:
        """Wait for the login prompt and log in; `timeout` in seconds of the machine's clock."""
        self.console.login(user, password, timeout)
        self.instance.mark_up()
        self.boot_cpu_seconds = self.cpu_seconds

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> Result:
        """Run a command on the machine; see Session.run."""
        return self.console.run(command, timeout)

    def qmp(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """One QMP command."""
        return self._thread.call(self.instance.qmp(command, arguments))

    def poweroff(self, timeout: float = POWEROFF_SECONDS) -> Exit:
        """Let the logged-in system power itself off, and wait for QEMU's end."""
        return self._thread.call(self._poweroff(timeout))

    async def _poweroff(self, timeout: float) -> Exit:
        await self.console.session.leave()
        await self.instance.console.write("poweroff\n")
        return await self.instance.until_exit(timeout)

    def wait(self, timeout: float) -> Exit:
        """Wait for the machine to end by itself; `timeout` in seconds of its clock."""
        return self._thread.call(self.instance.until_exit(timeout))

    def quit(self) -> Exit:
        """Cut the power."""
        return self._thread.call(self.instance.quit())

    def kill(self) -> Exit:
        """SIGKILL to QEMU."""
        return self._thread.call(self.instance.kill())

    def close(self) -> None:
        """End it if it runs, and give everything back."""
        self._thread.call(self.instance.close())


def find(board_or_folder: str | Path) -> tuple[Image, Path]:
    """The image of a board's build folder, or of any folder with an image.json."""
    folder = Path(board_or_folder)
    if isinstance(board_or_folder, str) and "/" not in board_or_folder:
        folder = paths.build_dir() / board_or_folder
    return images.load(folder), folder.absolute()


def start(board_or_folder: str | Path, options: BootOptions | None = None) -> Machine:
    """Start QEMU on an image and return at once; the caller closes the machine."""
    options = options or BootOptions()
    image, folder = find(board_or_folder)
    choice = accel.choose(image, folder, options.accel)
    if options.qmp is not None:
        _free_socket_path(options.qmp)
    data = _data_disk(image, folder, options)
    log = LineLog(options.log or _log_path(folder))
    log.note(f"{image.board}: {choice.accel} ({choice.reason})")
    thread = shared_loop()

    async def begin() -> Instance:
        sockets = Sockets.make()
        wiring = Wiring(sockets.console_theirs.fileno(), sockets.qmp_theirs.fileno(), data)
        return await Instance.start(machine.argv(image, folder, options, wiring, choice.accel), sockets, log)

    return Machine(thread.call(begin()), image, folder, choice.reason, thread)


@contextlib.contextmanager
def booted(
    board_or_folder: str | Path, options: BootOptions | None = None, *, login_timeout: float = LOGIN_SECONDS
) -> Iterator[Machine]:
    """A machine with root logged in: `with booted("qemuarm") as machine: machine.run("uname -m")`."""
    with start(board_or_folder, options) as machine_:
        machine_.login(timeout=login_timeout)
        yield machine_


def _data_disk(image: Image, folder: Path, options: BootOptions) -> Path:
    """The disk to attach: the user's, or the board's own, made from the pristine one at the first boot."""
    if options.data is not None:
        if not options.data.is_file():
            raise SampanError(f"--data {options.data}: there is no such file", code=EXIT_USAGE)
        return options.data.absolute()
    pristine, own = folder / image.data.file, folder / "run" / "data.ext4"
    if own.is_file():
        return own
    if options.snapshot:
        return pristine
    with atomic(own) as temporary:
        _copy_sparse(pristine, temporary)
    return own


def _copy_sparse(source: Path, target: Path) -> None:
    """Copy a mostly empty disk without making its holes real."""
    with source.open("rb") as reader, target.open("r+b") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        end = 0
        while end < size:
            try:
                begin = os.lseek(reader.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                break
            end = os.lseek(reader.fileno(), begin, os.SEEK_HOLE)
            reader.seek(begin)
            writer.seek(begin)
            left = end - begin
            while left and (data := reader.read(min(left, 1 << 20))):
                writer.write(data)
                left -= len(data)
    shutil.copymode(source, target)


def _log_path(folder: Path) -> Path:
    """run/console.log, or console-2.log... while another machine of this folder writes the first."""
    run = folder / "run"
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse_os_error(error, "write", run)
    for number in range(1, 1000):
        path = run / ("console.log" if number == 1 else f"console-{number}.log")
        if not _in_use(path):
            return path
    raise SampanError(f"{run}: a thousand machines write their logs here")


def _in_use(path: Path) -> bool:
    """Whether a living LineLog holds its lock on the file."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _free_socket_path(path: Path) -> None:
    """Refuse a path that QEMU could not use, or would take away from somebody."""
    if len(os.fsencode(path)) > _SOCKET_PATH_MAX:
        raise SampanError(f"--qmp {path}: longer than the {_SOCKET_PATH_MAX} bytes of a socket's path", code=EXIT_USAGE)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise SampanError(f"--qmp {path}: there is no folder {path.parent}", code=EXIT_USAGE) from None
        return
    if not stat.S_ISSOCK(mode):
        raise SampanError(f"--qmp {path}: is there already and is not a socket", code=EXIT_USAGE)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)  # left behind by a killed process
            return
    raise SampanError(f"--qmp {path}: another program listens there", hint="another path, or end that program")
