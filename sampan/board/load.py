"""Finding and reading boards. A folder with a board.toml below board/ is a board; nothing else is needed.

NAME@KERNEL is the board NAME with another of Debian's kernels, such as qemuarm@6.12.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import get_args

import msgspec

from sampan.board.model import Board, DebianKernel
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


def default_names() -> list[str]:
    """The boards that `--all` means: those that do not say `build.default = false`.

    A board.toml with a mistake counts, so that the mistake is said.
    """
    return [name for name in names() if _by_default(paths.boards_dir() / name / "board.toml")]


def _by_default(path: Path) -> bool:
    with contextlib.suppress(SampanError):
        build = read_toml(path).get("build")
        return not isinstance(build, dict) or build.get("default") is not False
    return True


def load(spec: str) -> Board:
    """The board NAME or NAME@KERNEL; an unknown name or a wrong file is a SampanError."""
    name, at, variant = spec.partition("@")
    path = paths.boards_dir() / name / "board.toml"
    if not _NAME.match(name) or not path.is_file():
        raise SampanError(
            f"there is no board {name!r}",
            hint=f"{did_you_mean(name, names())} (`sampan boards` lists them)",
            code=EXIT_USAGE,
        )
    board = parse(path, name)
    return _with_kernel(board, variant) if at else board


def _with_kernel(board: Board, variant: str) -> Board:
    known = [version for version in get_args(DebianKernel) if version != board.kernel.version]
    if board.kernel.provider != "debian":
        raise SampanError(
            f"{board.name}@{variant}: the kernel of {board.name} is a file, not one of Debian's", code=EXIT_USAGE
        )
    if variant not in known:
        itself = f"that is {board.name} itself" if variant == board.kernel.version else "Debian has no such kernel"
        also = ", ".join(f"{board.name}@{version}" for version in known)
        raise SampanError(f"{board.name}@{variant}: {itself}", hint=f"there are {also}", code=EXIT_USAGE)
    kernel = msgspec.structs.replace(board.kernel, version=variant)
    return msgspec.structs.replace(board, variant=variant, kernel=kernel)


def parse(path: Path, name: str) -> Board:
    """Read one board.toml; errors name the file, the key path, the reason and the nearest valid name."""
    data = read_toml(path)
    for key, reason in (("name", f"a board is named by its folder, {name!r}"), ("variant", "is no key")):
        if key in data:
            raise SampanError(f"{path}: {key}: {reason}", hint="remove the key", code=EXIT_USAGE)
    board = convert(data | {"name": name}, Board, str(path), hidden=("name", "variant"))
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
