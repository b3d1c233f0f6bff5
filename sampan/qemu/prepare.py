"""What must be ready on disk before QEMU starts: the image, the data disk, the log, a socket's path."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
from pathlib import Path

import msgspec

from sampan.build import image as images
from sampan.build.image import Image
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import atomic
from sampan.qemu.machine import BootOptions
from sampan.serial.log import LineLog, LogBusy

_SOCKET_PATH_MAX = 107  #: bytes of a unix socket's path (sun_path)


class Request(msgspec.Struct, frozen=True):
    """What `vm up` asks a keeper for."""

    image: str  #: board, or a folder with an image.json
    options: BootOptions

    def encode(self) -> bytes:
        return msgspec.json.encode(self, enc_hook=str)

    @classmethod
    def decode(cls, data: bytes) -> Request:
        return msgspec.json.decode(data, type=cls, dec_hook=lambda kind, value: kind(value))


def find(board_or_folder: str | Path) -> tuple[Image, Path]:
    """The image of a board's build folder, or of any folder with an image.json."""
    folder = Path(board_or_folder)
    if isinstance(board_or_folder, str) and "/" not in board_or_folder:
        folder = paths.build_dir() / board_or_folder
    return images.load(folder), folder.absolute()


def data_disk(image: Image, folder: Path, options: BootOptions) -> Path:
    """The disk to attach: the user's, or the board's own, made from the pristine one at the first boot."""
    if options.data is not None:
        if not options.data.is_file():
            raise SampanError(f"--data {options.data}: there is no such file", code=EXIT_USAGE)
        return options.data.absolute()
    pristine, own = folder / image.data.file, folder / "run" / "data.ext4"
    if options.fast:
        return pristine  # never written to: the snapshot has a copy
    if own.is_file():
        return own
    if options.snapshot:
        return pristine
    with atomic(own) as temporary:
        copy_sparse(pristine, temporary)
    return own


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a mostly empty disk to a file that is there, without making its holes real."""
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


def open_log(folder: Path, wanted: Path | None) -> LineLog:
    """The log a user wants, else run/console.log, or console-2.log... while another machine writes that."""
    if wanted is not None:
        return LineLog(wanted)
    for number in range(1, 1000):
        with contextlib.suppress(LogBusy):
            return LineLog(folder / "run" / ("console.log" if number == 1 else f"console-{number}.log"))
    raise SampanError(f"{folder}/run: a thousand machines write their logs here")


def free_socket_path(path: Path) -> None:
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
