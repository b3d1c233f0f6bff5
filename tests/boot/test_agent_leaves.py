"""An agent on a console gives it back to its shell: when its host is gone, on BREAK, when a person types Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.control.lines import LinePlace
from sampan.control.remote import Target, connect
from sampan.qemu import vm
from sampan.qemu.machine import BootOptions
from sampan.serial.sync import SyncConsole, shared_loop

NAME = "leaves"
PATIENCE = 60.0  #: seconds of the machine's clock


@pytest.fixture(scope="module", params=["qemux86-64", "qemuarm64"])
def target(
    request: pytest.FixtureRequest, folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        vm.up(str(folder_of(request.param)), NAME, BootOptions(snapshot=True, line="instant"))
        try:
            yield connect(f"qemu:{request.param}:{NAME}")
        finally:
            vm.down(NAME)


@pytest.fixture
def console(target: Target) -> Iterator[SyncConsole]:
    """The console with an agent on it whose host was killed just now."""
    assert target.run("echo well").output == "well\n"
    owner = LinePlace(target.line.url).owned()
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    os.waitpid(owner.pid, 0)  # a child of ours that nobody waits for
    line = SyncConsole(shared_loop().call(vm.attached(NAME)))
    yield line
    line.close()


def left(console: SyncConsole, why: str, seconds: float) -> None:
    """The agent says so, and the shell takes commands."""
    console.expect(f"sampan agent: {why}\r\n", timeout=seconds)
    console.write("\x15echo th''ere\n")
    console.expect("there\r\n", timeout=PATIENCE)


def test_it_leaves_when_its_host_is_gone(console: SyncConsole) -> None:
    left(console, "no host", PATIENCE)


def test_it_leaves_on_break(console: SyncConsole) -> None:
    """The first one may be the kernel's, which waits for a letter of SysRq then."""
    console.send_break()
    console.send_break()
    left(console, "a signal", 8)


def test_it_leaves_when_a_person_types_ctrl_c(console: SyncConsole) -> None:
    console.write("\x03\x03\x03")
    left(console, "Ctrl-C", 8)


def test_the_next_host_takes_it_over(target: Target, console: SyncConsole) -> None:
    assert target.run("echo again").output == "again\n"
