"""Finding and reading boards. A folder with a board.toml below board/ is a board; nothing else is needed."""

from __future__ import annotations

import re
from pathlib import Path

from sampan.board.model import Board
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import refuse_os_error
from sampan.core.tables import convert, read_toml

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")


def names() -> list[str]:
    """All boards, sorted."""
    folder = paths.boards_dir()
    try:
        return sorted(entry.name for entry in folder.iterdir() if (entry / "board.toml").is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        refuse_os_error(error, "read", folder)


def load(name: str) -> Board:
    """The board of that name; an unknown name or a wrong file is a SampanError."""
    path = paths.boards_dir() / name / "board.toml"
    if not _NAME.match(name) or not path.is_file():
        raise SampanError(
            f"there is no board {name!r}",
            hint=f"{did_you_mean(name, names())} (`sampan boards` lists them)",
            code=EXIT_USAGE,
        )
    return parse(path, name)


def parse(path: Path, name: str) -> Board:
    """Read one board.toml; errors name the file, the key path, the reason and the nearest valid name."""
    data = read_toml(path)
    if "name" in data:
        raise SampanError(
            f"{path}: name: a board is named by its folder, {name!r}", hint="remove the key", code=EXIT_USAGE
        )
    board = convert(data | {"name": name}, Board, str(path), hidden=("name",))
    _check_kernel(path, board)
    _check_files(path, "rootfs.busybox", board.rootfs.busybox, "busybox", ".fragment")
    _check_files(path, "rootfs.containers", board.rootfs.containers, "containers", ".config")
    return board


def _check_kernel(path: Path, board: Board) -> None:
    needed = ("package", "debian_arch") if board.kernel.provider == "debian" else ("image",)
    for key in needed:
        if not getattr(board.kernel, key):
            raise SampanError(
                f"{path}: kernel.{key}: missing; provider = {board.kernel.provider!r} needs it", code=EXIT_USAGE
            )


def _check_files(path: Path, key: str, chosen: tuple[str, ...], folder: str, suffix: str) -> None:
    """Each name must be a file of configs/FOLDER; here the key is known, in the build only the path."""
    there = paths.ROOT / "configs" / folder
    for number, name in enumerate(chosen):
        if not (there / f"{name}{suffix}").is_file():
            known = [entry.name.removesuffix(suffix) for entry in there.glob(f"*{suffix}")]
            reason = f"there is no configs/{folder}/{name}{suffix}"
            raise SampanError(f"{path}: {key}[{number}]: {reason}", hint=did_you_mean(name, known), code=EXIT_USAGE)
