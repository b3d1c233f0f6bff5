"""Boot snapshots: a clone is there at once, knows the time, shares no randomness, and is never a stale one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sampan.core.errors import SampanError
from sampan.core.paths import ROOT
from sampan.qemu import snapshot
from sampan.qemu.boot import Machine, booted
from sampan.qemu.instance import QemuDied
from sampan.qemu.machine import BootOptions
from sampan.qemu.plan import Plan


@pytest.fixture(scope="module", params=("qemux86-64", "qemuarm", "qemuarm64"))
def image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, folder_of: Callable[[str], Path]
) -> Iterator[Path]:
    """A copy of a board's image, whose snapshots are the test's."""
    yield copied(folder_of(request.param), tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory, folder_of: Callable[[str], Path]) -> Path:
    return copied(folder_of("qemuarm64"), tmp_path_factory.mktemp("image"))


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run", "modules"))
    return target


def fast(log: Path, **options: object) -> BootOptions:
    return BootOptions(fast=True, log=log, **options)  # type: ignore[arg-type]


def snapshots(image: Path) -> list[Path]:
    return [path for path in (image / "run/snapshots").iterdir() if path.is_dir()]


def test_clones(image: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:

        def clone(number: int) -> Machine:
            return stack.enter_context(booted(image, fast(tmp_path / f"{number}.log")))

        first = clone(0)
        made = (snapshots(image)[0] / "ram").stat().st_mtime_ns
        boot = (snapshots(image)[0] / "boot.log").read_text()
        machines = [first, clone(1), clone(2)]
        booted_in = float(boot.rpartition(" s of processor time")[0].rpartition(" ")[2])
        assert all(machine.boot_cpu_seconds < booted_in / 4 for machine in machines)
        answers = [
            machine.run("head -c 16 /dev/urandom | sha256sum; cat /proc/sys/kernel/random/boot_id; date +%s")
            for machine in machines
        ]
        words = [answer.check().output.splitlines() for answer in answers]
        assert len({random for random, _, _ in words}) == len({boot_id for _, boot_id, _ in words}) == 3
        assert all(abs(int(now) - time.time()) < 30 for _, _, now in words)
        first.run("echo mine > /var/lib/lxc/note; echo mine > /tmp/note; sync").check()
        assert machines[1].run("cat /var/lib/lxc/note /tmp/note").status != 0
        assert clone(3).run("cat /var/lib/lxc/note /tmp/note").status != 0
        assert machines[2].poweroff().reason == "poweroff"
    (folder,) = snapshots(image)
    assert (folder / "ram").stat().st_mtime_ns == made, "nobody wrote to it"


def test_what_changes_the_moment_changes_the_key(arm64: Path, tmp_path: Path) -> None:
    def key(**options: object) -> str:
        return snapshot.key(Plan.make(str(arm64), fast(tmp_path / "log", **options)))

    first = key()
    assert key() == first
    others = [key(cgroup="v1"), key(ram="300M"), key(append="loglevel=7"), key(watchdog=True), key(reboot=True)]
    assert len({first, *others}) == 6
    initrd = arm64 / "rootfs.cpio.gz"
    os.utime(initrd, ns=(1, 1))
    assert key() != first
    assert key(line="9600") == key(), "the line is between QEMU and us"


def test_a_damaged_snapshot_is_refused_and_made_anew(arm64: Path, tmp_path: Path) -> None:
    options = fast(tmp_path / "log", cgroup="v1")
    with booted(arm64, options):
        pass
    folder = snapshot.where(Plan.make(str(arm64), options))
    state = folder / "state"
    state.chmod(0o644)
    state.write_bytes(state.read_bytes()[:5000])
    with pytest.raises(QemuDied):
        booted(arm64, options).__enter__()
    with booted(arm64, options) as machine:
        assert machine.run("true").ok


def test_two_want_a_snapshot_that_is_not_there(arm64: Path, tmp_path: Path) -> None:
    """One makes it, the other waits; a maker that is killed leaves nothing that is taken for one."""
    argv = [sys.executable, "-m", "sampan", "boot", str(arm64), "--fast", "--cgroup", "hybrid", "--log"]

    def start(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*argv, str(tmp_path / name)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    killed = start("killed")
    time.sleep(1.0)  # any moment will do
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    pair = [start("one"), start("two")]
    assert [process.communicate("echo alive\n")[0] for process in pair] == ["alive\n"] * 2
    plan = Plan.make(str(arm64), fast(tmp_path / "log", cgroup="hybrid"))
    assert snapshot.where(plan).is_dir() and not list((arm64 / "run/snapshots").glob(".*"))


def test_a_disk_of_ones_own_needs_a_boot(tmp_path: Path) -> None:
    with pytest.raises(SampanError, match="--fast and --data"):
        replace(fast(tmp_path / "log"), data=tmp_path / "disk")
