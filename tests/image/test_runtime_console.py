"""Sitting at a container's console and ttys, as a person does: through a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from runtime_lab import Lab, wait_for

pytestmark = pytest.mark.both_ways

CTRL_A = b"\x01"


@dataclass
class Seat:
    """One `console` command on a terminal of its own; `seen` is all that it has shown."""

    pid: int
    master: int
    seen: bytes = b""

    def until(self, text: bytes) -> bytes:
        """Reads until `text` comes; what came before it is taken away."""
        end = time.monotonic() + 20
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 4096)
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self) -> int:
        """Its exit code, once it has ended."""
        try:
            while os.read(self.master, 4096):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def seat(lab: Lab, *words: str) -> Iterator[Seat]:
    pid, master = pty.fork()
    if pid == 0:
        command = lab.command("console", *words)
        os.execve(command[0], command, lab.environment())
    try:
        yield Seat(pid, master)
    finally:
        os.close(master)


def shells(lab: Lab, label: str, *lines: str) -> str:
    """A running container with a shell on its console and on tty1."""
    name = lab.make(label, "lxc.tty.max = 2", *lines)
    table = "::sysinit:/bin/echo first words\nconsole::respawn:/bin/sh\ntty1::respawn:/bin/sh\n"
    (lab.root(name) / "etc/inittab").write_text(table)
    lab.ok("start", name)
    return name


def test_console_shows_what_was_before_and_takes_commands(any_lab: Lab) -> None:
    name = shells(any_lab, "con")
    for word in (b"one", b"two"):  # coming back replays it
        with seat(any_lab, "-n", name, "-t", "0") as at:
            at.until(b"Ctrl-a q leaves")
            at.until(b"first words")
            at.type(b"echo $((40 + 2))-" + word + b"\n")
            at.until(b"42-" + word)
            at.type(CTRL_A + b"q")
            assert at.end() == 0
    any_lab.ok("stop", "-k", name)


def test_ttys_are_apart_and_for_one_each(any_lab: Lab) -> None:
    name = shells(any_lab, "tty")
    with seat(any_lab, name) as first, seat(any_lab, name) as second:
        text = first.until(b"leaves") + second.until(b"leaves")
        assert b"tty 1" in text and b"tty 2" in text
        at = first if b"tty 1" in text[: text.index(b"tty 2")] else second
        at.type(b"tty; echo $((3 * 7))\n")
        at.until(b"/dev/pts/")
        at.until(b"21")
        third = any_lab.sampan("console", name)
        assert third.returncode == 1 and "in use" in third.stderr
        taken = any_lab.sampan("console", name, "-t", "1")
        assert taken.returncode == 1 and "somebody else" in taken.stderr
        for at in (first, second):
            at.type(CTRL_A + b"q")
            assert at.end() == 0
    with seat(any_lab, name, "-t", "1") as again:
        again.until(b"leaves")
        again.type(b"echo $((4 * 7))\n")
        again.until(b"28")
        any_lab.ok("stop", "-k", name)
        assert again.end() == 0, "the container's end is the end of the visit"


def test_escape_can_be_moved_and_sent(lab: Lab) -> None:
    name = shells(lab, "esc")
    with seat(lab, name, "-t", "0", "-e", "^b") as at:
        at.until(b"Ctrl-b q leaves")
        at.type(b"od -An -c -N 4\n")
        at.type(CTRL_A + b"x" + b"\x02\x02" + b"\n")
        assert b"001   x 002  \\n" in at.until(b"\\n") + b"\\n"
        at.type(b"\x02q")
        assert at.end() == 0
    assert lab.sampan("console", name, "-e", "ab").returncode == 1
    lab.ok("stop", "-k", name)


def test_window_size_goes_along(lab: Lab) -> None:
    name = shells(lab, "size")
    (lab.root(name) / "bin/stty").symlink_to("busybox")
    for tty in ("0", "1"):
        with seat(lab, name, "-t", tty) as at:
            at.until(b"leaves")
            at.resize(37, 101)
            at.type(b"stty size\n")
            wait_for(lambda: _answers(at))
            at.type(CTRL_A + b"q")
            assert at.end() == 0
    lab.ok("stop", "-k", name)


def _answers(at: Seat) -> bool:
    at.type(b"stty size\n")
    time.sleep(0.1)
    at.seen += os.read(at.master, 4096)
    return b"37 101" in at.seen


def test_a_silent_spectator_does_not_stop_the_container(lab: Lab) -> None:
    """It reads nothing while the console says more than every buffer between them holds."""
    name = shells(lab, "flood")
    with seat(lab, name, "-t", "0") as at:
        at.until(b"leaves")
        at.type(b"dd if=/dev/zero bs=1024 count=2000 | od -v; touch /done\n")
        wait_for(lambda: (lab.root(name) / "done").exists(), 60)
        lab.ok("stop", "-k", name)
        assert at.end() == 0


def test_what_cannot_be_sat_at(lab: Lab) -> None:
    name = lab.make("none", "lxc.console.path = none", "lxc.tty.max = 0")
    stopped = lab.sampan("console", name)
    assert stopped.returncode == 1 and "not running" in stopped.stderr
    lab.ok("start", name)
    refused = lab.sampan("console", name, "-t", "0")
    assert refused.returncode == 1 and "no console" in refused.stderr
    refused = lab.sampan("console", name, "-t", "3")
    assert refused.returncode == 1 and "lxc.tty.max" in refused.stderr
    lab.ok("stop", "-k", name)
