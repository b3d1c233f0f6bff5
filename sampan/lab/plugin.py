"""The pytest plugin: `target`, `container_factory` and `board` for tests on boards and in QEMU (docs/pytest.md).

Kept light at import: every run of pytest in an environment with sampan loads it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sampan.control.remote import Target
    from sampan.lab.guests import Board, ContainerFactory, Place, Site

_MARKERS = (
    "sampan_board(*names): the test is for these boards alone (patterns such as qemuarm*)",
    "sampan_cgroup(*layouts): the test is run with each of these cgroup layouts: v1, v2, hybrid, v1-single",
    "sampan_feature(*names): the test needs these features of the kernel, as `sampan checkconfig` names them",
    "sampan_guest(fresh, line=''): a guest of its own from the boot snapshot ('clone', the default) or booted"
    " ('boot'), or one for all that say 'shared'; line: a simulated serial line such as '115200,ber=1e-5'",
)
_NOWHERE = "no target: --sampan-board BOARD starts one in QEMU, --sampan-target TARGET takes one that is there"
_site_of = pytest.StashKey["Site"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sampan", "tests on targets (sampan)")
    group.addoption("--sampan-target", default="", metavar="TARGET", help="a target that is there, as of `sampan on`")
    group.addoption(
        "--sampan-board",
        action="append",
        default=[],
        metavar="BOARD",
        help="a board (or folder with an image.json) to start in QEMU; may be repeated, or have commas",
    )
    group.addoption("--sampan-cgroup", default="v2", metavar="LAYOUT", help="cgroup layout of guests (default: v2)")


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getoption("--sampan-target") and config.getoption("--sampan-board"):
        raise pytest.UsageError("--sampan-target and --sampan-board: one of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses a target is run on each board, with each layout that it wants."""
    if "sampan_place" not in metafunc.fixturenames:
        return
    found = _places(metafunc.config, metafunc.definition)
    params = [pytest.param(place, id=place.label.replace("::", ":")) for place in found]
    if not params:
        params = [pytest.param(None, id="nowhere", marks=pytest.mark.skip(reason=_why_none(metafunc)))]
    metafunc.parametrize("sampan_place", params, indirect=True)


def _places(config: pytest.Config, item: pytest.Item) -> list[Place]:
    from sampan.lab.guests import FRESH, Place

    guest = item.get_closest_marker("sampan_guest")
    fresh = guest.args[0] if guest and guest.args else "clone"
    line = str(guest.kwargs.get("line", "")) if guest else ""
    if fresh not in FRESH:
        raise pytest.UsageError(f"{item.nodeid}: sampan_guest({fresh!r}): one of {', '.join(FRESH)}")
    if target := str(config.getoption("--sampan-target")):
        return [Place(target=target)]
    layouts = _words(item, "sampan_cgroup") or (str(config.getoption("--sampan-cgroup")),)
    return [
        Place(board=board, cgroup=layout, fresh=fresh, line=line)
        for board in _boards(config)
        if _wanted(item, _name(board))
        for layout in layouts
    ]


def _boards(config: pytest.Config) -> list[str]:
    return [board for given in config.getoption("--sampan-board") for board in given.split(",") if board]


def _name(board: str) -> str:
    """Of a board, or of the folder of its image."""
    return board.rstrip("/").rpartition("/")[2]


def _words(item: pytest.Item, marker: str) -> tuple[str, ...]:
    """What the nearest marker of this name says."""
    found = item.get_closest_marker(marker)
    return tuple(map(str, found.args)) if found else ()


def _wanted(item: pytest.Item, board: str) -> bool:
    import fnmatch

    patterns = _words(item, "sampan_board")
    return not patterns or any(fnmatch.fnmatchcase(board, pattern) for pattern in patterns)


def _why_none(metafunc: pytest.Metafunc) -> str:
    boards = _boards(metafunc.config)
    if not boards:
        return _NOWHERE
    return f"for {', '.join(_words(metafunc.definition, 'sampan_board'))}, not {', '.join(map(_name, boards))}"


class _Shared:
    """Sites that several tests use, until the end of the session."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._stack = contextlib.ExitStack()
        self._sites: dict[Place, Site] = {}

    def site(self, place: Place) -> Site:
        from sampan.lab import guests

        found = self._sites.get(place)
        machine = found.board.machine if found else None
        if found is None or (machine is not None and not machine.running):
            log = self._factory.mktemp("sampan") / "console.log"
            found = self._sites[place] = self._stack.enter_context(guests.opened(place, log))
        found.new_test()
        return found

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def sampan_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Shared]:
    """Guests of the session; for the plugin itself."""
    shared = _Shared(tmp_path_factory)
    yield shared
    shared.close()


@pytest.fixture
def sampan_place(request: pytest.FixtureRequest) -> Place:
    """Where this test runs; for the plugin itself."""
    place: Place = request.param
    return place


@pytest.fixture
def sampan_site(
    request: pytest.FixtureRequest,
    sampan_place: Place,
    sampan_shared: _Shared,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The target with its board and log; for the plugin itself."""
    from sampan.lab import guests

    with contextlib.ExitStack() as stack:
        if sampan_place.fresh == "shared" or sampan_place.target:
            site = sampan_shared.site(sampan_place)
        else:
            log = tmp_path_factory.mktemp("sampan") / "console.log"
            site = stack.enter_context(guests.opened(sampan_place, log))
        request.node.stash[_site_of] = site
        _skip_unless(request.node, site)
        yield site


def _skip_unless(item: pytest.Item, site: Site) -> None:
    """Skip what is not for this target; of a guest the board and the layout were chosen for the test."""
    boards = _words(item, "sampan_board")
    if boards and site.board.machine is None and not site.board.matches(boards):
        pytest.skip(f"for {', '.join(boards)}, not {site.board.name or 'a board without a name (?board=NAME)'}")
    layouts = _words(item, "sampan_cgroup")
    if layouts and site.cgroup not in layouts:
        pytest.skip(f"for cgroup {', '.join(layouts)}, not {site.cgroup}")
    features = _words(item, "sampan_feature")
    missing = site.lacks(features) if features else []
    if missing:
        pytest.skip(f"the kernel has no {', '.join(missing)}")


@pytest.fixture
def board(sampan_site: Site) -> Board:
    """The board the test runs on: `name`, `cgroup`, and QEMU's `machine` when it is a guest."""
    return sampan_site.board


@pytest.fixture
def target(sampan_site: Site) -> Target:
    """The target: `target.run("uname -m")`, `target.container("web")`, `push`, `pull`."""
    return sampan_site.target


@pytest.fixture
def container_factory(request: pytest.FixtureRequest, target: Target) -> Iterator[ContainerFactory]:
    """Makes containers: `container_factory("lxc.tty.max = 2")` is a running one, which goes with the test."""
    from sampan.lab.guests import ContainerFactory

    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.casefold()).strip("-")[:20]
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    factory = ContainerFactory(target, "-".join(filter(None, ["t", worker, stem])))
    yield factory
    factory.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failing test shows what its board said."""
    report = yield
    site = item.stash.get(_site_of, None)
    if site is not None and report.failed:
        report.sections.append((f"Console of {site.target.line.target}", site.said()))
    return report
