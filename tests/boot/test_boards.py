"""Boards beyond Yocto's four, and other kernels than 6.1: each boots, runs containers and is verified.

One boot serves all that is asked of a board. CI boots one such board; `-m every_board` boots them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.board import load as boards
from sampan.control import verify
from sampan.control.shells import Subject
from sampan.control.walkthrough import app_stage, run_stage
from sampan.devices import policyfile, store
from sampan.devices.facts import Facts
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions

LIST = """lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = profile:base
lxc.cgroup.devices.allow = /dev/gpiochip0 rw optional
lxc.cgroup.devices.allow = /dev/rtc0 r optional
lxc.cgroup.devices.allow = c 10:183 r
"""
RARE = [name for name in boards.names() if name not in boards.default_names()]
#: The second UART, a card in the fourth slot, an own device tree: nothing there is as on the virt machine.
IN_CI = "sabrelite"
#: Its model throws away what is typed faster than its driver reads: a person can log in, a program cannot work.
DEAF = "smdkc210"


def _of(specs: list[str]) -> list[object]:
    return [
        pytest.param(
            spec,
            marks=[
                pytest.mark.xdist_group(spec),
                *([pytest.mark.every_board] if spec in RARE and spec != IN_CI else []),
            ],
        )
        for spec in specs
    ]


def _boot(spec: str, folder: Path, log: Path) -> Iterator[Machine]:
    options = BootOptions(cgroup="v2", snapshot=True, log=log / f"{spec}.log")
    with booted(folder, options) as machine:
        yield machine
        assert machine.poweroff().clean


@pytest.fixture(scope="module", params=_of([name for name in RARE if name != DEAF]))
def board(
    request: pytest.FixtureRequest, folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    yield from _boot(request.param, folder_of(request.param), tmp_path_factory.mktemp("boot"))


def _recorded(name: str, live: Facts) -> Facts:
    if (name, live.kernel) not in store.names():
        pytest.skip(f"no facts of {name} under Linux {live.kernel} are recorded: Debian has a newer one")
    return store.load(name, live.kernel)


def _proved(machine: Machine) -> None:
    """A container with LIST, resolved against what this machine says of itself, node by node."""
    target = Subject("qemu", machine.image.board, machine)
    policy = policyfile.loads(LIST, "list")
    try:
        verify.throwaway(machine, policy, target.board)
        found = verify.run(target, verify.THROWAWAY, policy)
        assert found.good, found.mismatches
        assert found.asked > 4000 and found.devices > 40
        wrong = verify.run(target, verify.THROWAWAY, policyfile.loads(LIST.replace("c 10:183 r", "c 10:183 w"), "list"))
        assert {each.number for each in wrong.mismatches} == {"c 10:183"}
    finally:
        verify.remove(machine)


def test_the_console_and_the_disk_are_the_boards(board: Machine) -> None:
    known = boards.load(board.image.board)
    assert board.run("read name rest </proc/consoles; echo $name").output.strip() == known.console.tty
    assert board.run("hostname").output.strip() == known.name
    disk = board.run("grep ' /var/lib/lxc ' /proc/mounts").output.split()
    assert disk[2] == ("ext4" if known.qemu.drive else "tmpfs")


def test_recorded_numbers_hold_on_the_board(board: Machine) -> None:
    """The image loads fewer modules than were loaded when the facts were recorded: those may lack, none may differ."""
    live = verify.probe(board, board.image.board)
    known = _recorded(live.board, live)
    assert live.machine == known.machine
    other = [node for node in live.nodes if node.name in known.by_name and known.by_name[node.name].key != node.key]
    assert not other
    assert len([node for node in live.nodes if node.name in known.by_name]) > 40


def test_containers_run_on_the_board(board: Machine) -> None:
    run_stage(board, app_stage())


def test_the_kernel_of_the_board_does_what_the_list_says(board: Machine) -> None:
    _proved(board)


@pytest.mark.every_board
def test_the_deaf_board_reaches_its_login(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    with booted(folder_of(DEAF), BootOptions(snapshot=True, log=tmp_path / "log")) as machine:
        assert "login: " in (tmp_path / "log").read_text(errors="replace")
        machine.quit()


@pytest.mark.every_kernel(only=True)
def test_it_is_the_kernel_that_was_asked_for(machine: Machine) -> None:
    version = boards.load(machine.folder.name).kernel.version
    assert machine.run("uname -r").output.startswith(f"{version}.")


@pytest.mark.every_kernel(only=True)
def test_another_kernel_does_what_the_list_says(machine: Machine) -> None:
    _proved(machine)
