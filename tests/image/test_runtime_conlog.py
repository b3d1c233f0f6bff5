"""The console's log file: bounded, rotated, and never in the container's way."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounts import tmpfs
from runtime_lab import Lab, gone, wait_for

pytestmark = pytest.mark.both_ways

NOISE = "i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done > /dev/console"


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[Path]:
    with tmpfs(lab.path / "disk", "size=64k") as place:
        yield place


def start(lab: Lab, label: str, script: str, *lines: str) -> str:
    name = lab.make(label, "lxc.init.cmd = /bin/sh /init.sh", *lines)
    (lab.root(name) / "init.sh").write_text(script)
    lab.ok("start", name)
    return name


def writer_of(lab: Lab, name: str) -> int:
    supervisor = lab.state(name)["supervisor"]
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    found: list[int] = []

    def there() -> bool:
        found.extend(
            int(p) for p in children.read_text().split() if "sampan-log" in Path(f"/proc/{p}/comm").read_text()
        )
        return bool(found)

    wait_for(there)
    return found[0]


def has_read_all(writer: int) -> bool:
    fd = os.open(f"/proc/{writer}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return fcntl.ioctl(fd, termios.FIONREAD, bytes(4)) == bytes(4)
    finally:
        os.close(fd)


def end_of(lab: Lab, name: str) -> None:
    lab.ok("wait", name, "-s", "STOPPED", "-t", "30")


def test_the_log_is_complete_and_rotated(lab: Lab) -> None:
    log = lab.path / "log"
    name = start(lab, "rotate", NOISE.format(lines=3000), f"lxc.console.logfile = {log}", "lxc.console.size = 16KB")
    end_of(lab, name)
    new, old = log.read_text(), (lab.path / "log.1").read_text()
    assert len(new) <= 16384 and len(old) <= 16384
    lines = re.findall(r"line (\d+)", old + new)
    assert lines[-1] == "2999" and [int(n) for n in lines] == list(range(int(lines[0]), 3000))


def test_without_rotation_it_begins_anew(lab: Lab) -> None:
    log = lab.path / "log"
    name = start(
        lab, "anew", NOISE.format(lines=3000), f"lxc.console.logfile = {log}", "lxc.console.size = 16KB",
        "lxc.console.rotate = 0",
    )  # fmt: skip
    end_of(lab, name)
    assert log.stat().st_size <= 16384 and "line 2999" in log.read_text()
    assert not (lab.path / "log.1").exists()


def test_a_full_disk_drops_with_a_mark(lab: Lab, small_disk: Path) -> None:
    log, filler = small_disk / "log", small_disk / "filler"
    script = (
        NOISE.format(lines=3000) + "\ntouch /full; while [ ! -e /more ]; do sleep 0.05; done\necho again > /dev/console"
    )
    filler.write_bytes(bytes(60000))
    name = start(lab, "full", script, f"lxc.console.logfile = {log}")
    wait_for((lab.root(name) / "full").exists)  # it went on although the disk is full
    wait_for(lambda: has_read_all(writer_of(lab, name)))
    filler.unlink()
    (lab.root(name) / "more").touch()
    end_of(lab, name)
    assert re.search(r"\[sampan: \d+ bytes of the console are missing here\]\nagain", log.read_text().replace("\r", ""))


def test_a_stalled_writer_stalls_nobody_else(lab: Lab) -> None:
    log = lab.path / "log"
    script = (
        f"while [ ! -e /go ]; do sleep 0.05; done\n{NOISE.format(lines=20000)}\n"
        "touch /done; while [ ! -e /more ]; do sleep 0.05; done\necho again > /dev/console"
    )
    name = start(lab, "stall", script, f"lxc.console.logfile = {log}", "lxc.console.size = 1MB")
    writer = writer_of(lab, name)
    os.kill(writer, signal.SIGSTOP)
    (lab.root(name) / "go").touch()
    wait_for((lab.root(name) / "done").exists, 60)
    os.kill(writer, signal.SIGCONT)
    wait_for(lambda: "line 0" in log.read_text())
    (lab.root(name) / "more").touch()
    end_of(lab, name)
    wait_for(lambda: gone(writer))
    text = log.read_text().replace("\r", "")
    assert re.search(r"\[sampan: \d+ bytes of the console are missing here\]\n(line \d+\n)*again", text)


def test_the_console_can_be_read_after_the_end(lab: Lab) -> None:
    name = start(lab, "mortem", "echo last words > /dev/console; exit 3", "lxc.console.buffer.size = 4096")
    end_of(lab, name)
    after = lab.sampan("console", name)
    assert "last words" in after.stdout and after.returncode == 1 and "not running" in after.stderr
    lab.ok("destroy", name)
    assert not (lab.run_dir / ".console" / name).exists()


def test_the_ring_has_the_size_it_was_given(lab: Lab) -> None:
    name = start(lab, "size", NOISE.format(lines=3000), "lxc.console.buffer.size = 8KB")
    end_of(lab, name)
    kept = lab.sampan("console", name).stdout
    assert kept.endswith("line 2999\n")
    assert (lab.run_dir / ".console" / name).stat().st_size == 8192


def test_a_log_that_cannot_be_written_is_no_reason_to_stop(lab: Lab) -> None:
    name = start(
        lab,
        "nolog",
        "sleep 100",
        f"lxc.console.logfile = {lab.path}/no/such/log",
        f"lxc.log.file = {lab.path}/messages",
    )
    assert lab.state(name)["state"] == "RUNNING"
    wait_for(lambda: "open the console's log" in (lab.path / "messages").read_text())
    lab.ok("stop", "-k", name)
