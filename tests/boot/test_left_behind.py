"""However `sampan boot` is left, no process stays, and the terminal is as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.core.paths import ROOT
from sampan.qemu import vm
from sampan.serial.sync import SyncConsole, shared_loop

_PATIENCE = 120.0  #: seconds until a test gives up; what it waits for takes one


class User:
    """A person in a terminal window: `sampan boot` on a pty of its own."""

    def __init__(self, image: Path, log: Path, *options: str) -> None:
        self.window, tty = pty.openpty()
        self.before = termios.tcgetattr(tty)
        self.seen = b""
        argv = [sys.executable, "-m", "sampan", "boot", str(image), "--snapshot", "--log", str(log), *options]
        self.process = subprocess.Popen(
            argv, cwd=ROOT, stdin=tty, stdout=tty, stderr=tty, preexec_fn=lambda: _take(tty), start_new_session=True
        )
        self.tty = tty
        self._log = log

    def sees(self, text: str) -> None:
        """Read the window until the text is there."""
        end = time.monotonic() + _PATIENCE
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self.window], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen[-2000:]!r}"
            self.seen += os.read(self.window, 4096)

    def types(self, data: bytes) -> None:
        os.write(self.window, data)

    def qemu(self) -> int:
        """QEMU's pid: the child of our child."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return next(int(pid) for path in children for pid in path.read_text().split())

    def ends(self) -> int:
        """Wait for the command's end, reading the window as a terminal does."""
        end = time.monotonic() + _PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                if select.select([self.window], [], [], 0.05)[0]:
                    self.seen += os.read(self.window, 4096)
        return self.process.wait(1)

    def tty_is_restored(self) -> bool:
        return termios.tcgetattr(self.tty)[:4] == self.before[:4]


def _take(tty: int) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a suite below nohup hands on that it is ignored
    fcntl.ioctl(tty, termios.TIOCSCTTY, 0)


def is_gone(pid: int) -> bool:
    end = time.monotonic() + _PATIENCE
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is killed here stays in no list of the user's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))


@pytest.fixture
def user(quick: Path, tmp_path: Path) -> Iterator[User]:
    person = User(quick, tmp_path / "console.log")
    try:
        yield person
    finally:
        if person.process.poll() is None:
            person.process.kill()
            person.process.wait()


def test_a_session_at_a_terminal(user: User) -> None:
    user.sees("Ctrl-a x quits, Ctrl-a h help")
    user.sees("login: ")
    user.types(b"root\r")
    user.sees("# ")
    user.types(b"echo $((6*7))\r")
    user.sees("42")
    user.types(b"\x01h")
    user.sees("send BREAK")
    qemu = user.qemu()
    assert not user.tty_is_restored()
    user.types(b"\x01x")
    assert user.ends() == 0
    assert is_gone(qemu) and user.tty_is_restored()


def test_others_find_the_machine_and_share_its_console(user: User) -> None:
    user.sees("login: ")
    (state,) = [state for state in vm.ls() if state.keeper == user.process.pid]
    assert state.name.startswith("qemuarm64") and state.state == "running"
    assert vm.qmp(state.name, "query-status")
    console = SyncConsole(shared_loop().call(vm.attached(state.name)))
    console.login(patience=0.3)
    assert console.run("echo shared").output == "shared\n"
    console.close()
    user.types(b"\x01x")
    assert user.ends() == 0
    assert not [other for other in vm.ls() if other.keeper == user.process.pid]


def test_power_off_from_the_terminal(user: User) -> None:
    user.sees("login: ")
    user.types(b"root\r")
    user.sees("# ")
    user.types(b"poweroff\r")
    assert user.ends() == 0
    assert b"the machine ended: poweroff" in user.seen and user.tty_is_restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_both_and_restores_the_terminal(user: User, number: signal.Signals) -> None:
    user.sees("login: ")
    qemu = user.qemu()
    user.process.send_signal(number)
    assert user.ends() != 0
    assert is_gone(qemu) and user.tty_is_restored()


def test_a_killed_command_takes_qemu_with_it(user: User) -> None:
    user.sees("login: ")
    qemu = user.qemu()
    user.process.kill()
    user.process.wait()
    assert is_gone(qemu)


def test_a_closed_window_takes_both_with_it(user: User) -> None:
    user.sees("login: ")
    qemu = user.qemu()
    os.close(user.tty)
    os.close(user.window)
    user.process.wait(_PATIENCE)
    assert is_gone(qemu)


def test_a_stopped_window_does_not_stop_the_machine(quick: Path, tmp_path: Path) -> None:
    """Nobody reads the window: the console is drained all the same, and the log has it."""
    log = tmp_path / "console.log"
    person = User(quick, log)
    person.sees("login: ")
    person.types(b"root\r")
    person.sees("# ")
    person.types(b"head -c 2000000 /dev/zero | tr '\\0' x; echo; echo E''ND\r")
    end = time.monotonic() + _PATIENCE
    while "END" not in log.read_text()[-4000:] and time.monotonic() < end:
        time.sleep(0.2)
    assert re.search(r"^.*END$", log.read_text()[-4000:], re.MULTILINE)
    person.process.terminate()
    person.ends()


def run_script(image: Path, text: str, log: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sampan", "boot", str(image), "--snapshot", "--log", str(log)]
    return subprocess.run(argv, cwd=ROOT, input=text, capture_output=True, text=True, check=False)


def test_a_script_on_stdin_runs_until_a_command_fails(quick: Path, tmp_path: Path) -> None:
    done = run_script(quick, "# comment\necho one\n\nexit 7\necho never\n", tmp_path / "log")
    assert (done.stdout, done.returncode) == ("one\n", 7)
    assert "QEMU ended: poweroff" in (tmp_path / "log").read_text()


def test_a_panic_is_a_message_and_no_traceback(quick: Path, tmp_path: Path) -> None:
    done = run_script(quick, "echo c >/proc/sysrq-trigger\n", tmp_path / "log")
    assert done.returncode == 1
    assert done.stderr.count("Kernel panic - not syncing: sysrq triggered crash") >= 1
    assert "Traceback" not in done.stderr
    assert f"full log: {tmp_path / 'log'}" in done.stderr
