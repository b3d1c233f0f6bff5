"""What happens on a board is told over its line: states, kills for want of memory, devices, the kernel's log."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sampan.control.remote import Target, connect
from sampan.core.paths import ROOT
from sampan.qemu import vm
from sampan.qemu.machine import BootOptions

PATIENCE = 120.0  #: seconds until a test gives up
HOG = "lxc.rootfs.path = overlay:/:tmpfs\\nlxc.net.0.type = empty\\n{} = 6M\\n"
LIMITS = {"v1": "lxc.cgroup.memory.limit_in_bytes", "v2": "lxc.cgroup2.memory.max"}
NAME = "events"


class Following:
    """`sampan on TARGET WORDS`, line by line as it says them."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "sampan", "on", f"qemu:qemux86-64:{NAME}", *words]
        self.program = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True, bufsize=1)

    def until(self, wanted: Callable[[str], object]) -> str:
        assert self.program.stdout is not None
        for line in self.program.stdout:
            if wanted(line):
                return line.rstrip("\n")
        raise AssertionError("it ended before that")

    def close(self) -> None:
        self.program.kill()
        self.program.communicate()


@pytest.fixture(scope="module", params=LIMITS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def target(layout: str, folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        options = BootOptions(snapshot=True, ports=True, cgroup=layout)
        vm.up(str(folder_of("qemux86-64")), NAME, options)
        try:
            yield connect(f"qemu:qemux86-64:{NAME}")
        finally:
            vm.down(NAME)


@pytest.fixture
def following() -> Iterator[Callable[..., Following]]:
    begun: list[Following] = []

    def begin(*words: str) -> Following:
        begun.append(Following(*words))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


def watched(target: Target) -> None:
    """Until somebody watches there."""
    end = time.monotonic() + PATIENCE
    while not target.run("ls /run/sampan/.watch").stdout:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_events(target: Target, layout: str, following: Callable[..., Following], tmp_path: Path) -> None:
    events, told = following("monitor", "-a", "--json"), following("monitor", "--all", "-n", "h.g")
    watched(target)
    time.sleep(1)  # the second one, too
    target.run(f"mkdir -p /var/lib/lxc/hog && printf '{HOG.format(LIMITS[layout])}' >/var/lib/lxc/hog/config").check()
    died = target.verb("execute", "-n", "hog", "--", "sh", "-c", "x=aaaaaaaa; while :; do x=$x$x; done")
    assert died.status == 128 + 9, died
    record: dict[str, Any] = json.loads(events.until(lambda line: '"oom"' in line))
    assert (record["name"], record["program"]) == ("hog", "sh") and record["pid"] > 1
    assert json.loads(events.until(lambda line: '"STOPPED"' in line))["name"] == "hog"
    assert re.fullmatch(r"'hog' out of memory: killed 'sh' \[\d+\]", told.until(lambda line: "memory" in line))
    (tmp_path / "disk").write_bytes(os.urandom(1 << 20))
    plugged = vm.plug(NAME, "block", tmp_path / "disk")
    record = json.loads(events.until(lambda line: '"vdb"' in line))
    assert record == {"device": "vdb", "event": "add", "subsystem": "block", "type": "b"} | {
        key: record[key] for key in ("major", "minor")
    }
    number = target.run("cat /sys/block/vdb/dev").check().output.strip()
    assert number == f"{record['major']}:{record['minor']}"
    assert told.until(lambda line: "vdb" in line) == f"device 'vdb' [block b {number}] added"
    vm.unplug(NAME, plugged.id)
    assert told.until(lambda line: "vdb" in line) == f"device 'vdb' [block b {number}] removed"


def test_the_kernels_log_has_times(target: Target, following: Callable[..., Following]) -> None:
    log = following("logs", "-f")
    assert re.match(r"\[    0\.0000\d\d\] Linux version ", log.until(lambda line: "Linux version" in line))
    target.run("echo '<4>said just now' >/dev/kmsg").check()
    said = log.until(lambda line: "said just now" in line)
    uptime = float(target.run("cat /proc/uptime").check().output.split()[0])
    found = re.fullmatch(r"\[ *(\d+\.\d{6})\] said just now", said)
    assert found is not None and abs(uptime - float(found[1])) < 30
