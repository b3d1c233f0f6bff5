"""Finding facts: board/NAME/facts/KERNEL.tsv, and how a person names one of them.

A folder below board/ that has facts and no board.toml is a machine that sampan knows but
does not build: its facts serve `why`, `diff` and `lint`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError, did_you_mean
from sampan.core.files import refuse_os_error
from sampan.devices import tsv
from sampan.devices.facts import Facts


def path_of(board: str, kernel: str) -> Path:
    """Where facts of that board and kernel are kept."""
    return paths.boards_dir() / board / "facts" / f"{kernel}.tsv"


def names() -> list[tuple[str, str]]:
    """(board, kernel) of all recorded facts, boards by name, kernels from the oldest."""
    folder = paths.boards_dir()
    try:
        found = [(file.parent.parent.name, file.name.removesuffix(".tsv")) for file in folder.glob("*/facts/*.tsv")]
    except OSError as error:
        refuse_os_error(error, "read", folder)
    return sorted(found, key=lambda name: (name[0], _version(name[1])))


def load(board: str, kernel: str) -> Facts:
    """Facts of exactly that board and kernel."""
    path = path_of(board, kernel)
    facts = tsv.read(path)
    if (facts.board, facts.kernel) != (board, kernel):
        raise SampanError(
            f"{path}: these are the facts of {facts.name}",
            hint=f"it belongs in {path_of(facts.board, facts.kernel)}",
            code=EXIT_USAGE,
        )
    return facts


def load_all() -> list[Facts]:
    """All recorded facts."""
    return [load(*name) for name in names()]


def find(spec: str) -> Facts:
    """Facts named BOARD@KERNEL; the kernel may be cut at a dot or dash, if only one is meant."""
    board, _, kernel = spec.partition("@")
    return load(board, _one(board, kernel, _kernels(board)))


def select(spec: str) -> list[Facts]:
    """All facts named by BOARD or BOARD@KERNEL."""
    board, at, kernel = spec.partition("@")
    if at:
        return [find(spec)]
    return [load(board, each) for each in _kernels(board)]


def short(kernel: str, known: Iterable[str]) -> str:
    """A kernel cut short as `find` takes it, where only `known` ones can be meant: 6.1 of 6.1.0-50-armmp."""
    cuts = [found.start() for found in re.finditer(r"[.+-]", kernel)][1:]
    others = [other for other in known if other != kernel]
    return next((kernel[:cut] for cut in cuts if not any(_meant(kernel[:cut], other) for other in others)), kernel)


def _meant(cut: str, kernel: str) -> bool:
    return re.match(re.escape(cut) + r"(?![0-9A-Za-z])", kernel) is not None


def _kernels(board: str) -> list[str]:
    known = names()
    found = [kernel for name, kernel in known if name == board]
    if not found:
        boards = sorted({name for name, _ in known})
        raise SampanError(
            f"there are no facts of a board {board!r}",
            hint=did_you_mean(board, boards)
            if boards
            else "`sampan devices record` makes them from the output of a probe",
            code=EXIT_USAGE,
        )
    return found


def _one(board: str, kernel: str, known: list[str]) -> str:
    if kernel in known:
        return kernel
    found = [each for each in known if _meant(kernel, each)] if kernel else known
    if len(found) == 1:
        return found[0]
    what = f"facts of {board} under a kernel {kernel}" if kernel else f"facts of {board}"
    verdict = f"{what} are recorded {len(found)} times" if found else f"there are no {what}"
    raise SampanError(
        f"{verdict}: which one?" if found else verdict,
        hint="known: " + ", ".join(f"{board}@{each}" for each in (found or known)),
        code=EXIT_USAGE,
    )


def _version(kernel: str) -> list[tuple[int, str]]:
    """For sorting: 5.10 comes before 6.1, and 6.1 before 6.12."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.\-+]", kernel)]
