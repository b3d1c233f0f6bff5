"""Booted machines for tests. Boots are dear, so one machine serves all tests of a board and cgroup layout."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from sampan.build.scons import build
from sampan.core import paths
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions

BOARDS = ("qemux86-64", "qemux86", "qemuarm", "qemuarm64")
LAYOUTS = ("v1", "v2")
#: Each other kernel on each family, and each cgroup version under each of them.
KERNELS = {"qemuarm@5.10": "v1", "qemuarm@6.12": "v2", "qemux86-64@5.10": "v2", "qemux86-64@6.12": "v1"}
#: One board for each kind of UART: 16550 and PL011.
UARTS = ("qemux86-64", "qemuarm64")


def built(board: str) -> Path:
    """The folder of a board's image, built when it is not there (by one test process at a time)."""
    folder = paths.build_dir() / board
    if not (folder / "image.json").is_file():
        paths.build_dir().mkdir(parents=True, exist_ok=True)
        with (paths.build_dir() / ".test.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "image.json").is_file():
                build([board])
    return folder


def _params(pairs: Iterable[tuple[str, str]]) -> list[object]:
    # Tests of one machine stay in one xdist worker, or each worker would boot its own. An @ would cut the group's name.
    return [
        pytest.param((board, layout), id=name, marks=pytest.mark.xdist_group(name.replace("@", "-")))
        for board, layout in pairs
        for name in (f"{board}-{layout}",)
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which machines a test gets: all boards; with the mark `every_kernel` the other kernels, too, or `only` those."""
    if "machine" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("every_kernel")
    pairs = [] if mark and mark.kwargs.get("only") else [(board, layout) for board in BOARDS for layout in LAYOUTS]
    metafunc.parametrize("machine", _params([*pairs, *(KERNELS.items() if mark else ())]), indirect=True)


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with root logged in, of `pytest_generate_tests`; shared, so leave it as it was.

    Narrow it with `pytest -k qemuarm64-v2`. Writes to its data disk are thrown away.
    """
    board, layout = request.param
    log = tmp_path_factory.mktemp("boot") / f"{board}-{layout}.log"
    with booted(built(board), BootOptions(cgroup=layout, snapshot=True, log=log)) as running:
        yield running


@pytest.fixture
def options(tmp_path: Path) -> BootOptions:
    """For a boot of one's own: nothing is left on the data disk, the log is the test's."""
    return BootOptions(snapshot=True, log=tmp_path / "console.log")


@pytest.fixture(params=UARTS)
def uart(request: pytest.FixtureRequest) -> Path:
    """An image of each kind of UART."""
    return built(request.param)


@pytest.fixture(scope="session")
def folder_of() -> Callable[[str], Path]:
    """Gives the folder of a board's image."""
    return built


@pytest.fixture
def quick() -> Path:
    """The image that boots fastest, where the board does not matter."""
    return built("qemuarm64")
