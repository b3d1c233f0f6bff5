"""Machines in the background: found by name, every end has a reason, and nothing is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.core.errors import SampanError
from sampan.core.paths import ROOT
from sampan.qemu import vm
from sampan.qemu.machine import BootOptions
from sampan.qemu.places import Place, State
from sampan.serial.sync import SyncConsole, shared_loop

_PATIENCE = 120.0  #: seconds until a test gives up; what it waits for takes one or two


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of its own for the machines of a test; whatever it does, none is left."""
    folder = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    for state in vm.ls():
        vm.down(state.name)
    assert not list((folder / "sampan" / "vm").glob("*"))


def sampan(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sampan", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][1] == "Z"


def ended(name: str) -> State:
    """The last state of a machine, waiting for its end."""
    until(lambda: not (state := Place(name).read()) or not state.alive)
    state = Place(name).read()
    assert state is not None
    return state


def shell(name: str) -> SyncConsole:
    """A client of the machine's console, logged in."""
    console = SyncConsole(shared_loop().call(vm.attached(name)))
    console.login(patience=0.3)
    return console


def up(image: Path, name: str, **options: object) -> State:
    """Started from a snapshot where nothing but the name is asked for: these tests need no boot of their own."""
    return vm.up(str(image), name, BootOptions(snapshot=True, fast=not options, **options))  # type: ignore[arg-type]


def test_the_commands(quick: Path, tmp_path: Path) -> None:
    done = sampan("vm", "up", str(quick), "--name", "one", "--snapshot", "--cgroup", "v1")
    assert done.returncode == 0 and done.stdout.startswith("one: running, pid "), done.stderr
    (record,) = json.loads(sampan("vm", "ls", "--json").stdout)
    assert (record["name"], record["state"], record["cgroup"]) == ("one", "running", "v1")
    assert record["argv"][0] == "qemu-system-aarch64" and Path(record["qmp"]).is_socket()
    assert json.loads(sampan("vm", "qmp", "one", "query-status").stdout)["status"] == "running"
    refused = sampan("vm", "qmp", "one", "query-weather")
    assert refused.returncode == 1 and "query-weather" in refused.stderr and "Traceback" not in refused.stderr
    log = Path(record["log"]).read_text()
    assert "qemu-system-aarch64 -name" in log and " login: " in log, "the command line, and the console from its start"
    again = sampan("vm", "up", str(quick), "--name", "one", "--snapshot")
    assert again.returncode == 1 and "a machine of this name is running" in again.stderr
    assert "has no display" in sampan("vm", "screenshot", "one", str(tmp_path / "x.png")).stderr
    assert sampan("vm", "down", "one").returncode == 0
    assert gone(record["pid"]) and gone(record["keeper"]) and json.loads(sampan("vm", "ls", "--json").stdout) == []
    assert "there is no such machine" in sampan("vm", "down", "one").stderr


def test_clients_share_the_console(quick: Path) -> None:
    up(quick, "shared")
    first = shell("shared")
    second = SyncConsole(shared_loop().call(vm.attached("shared")))
    first.leave()
    first.write("echo $((6*7))-for-both\n")
    for client in (first, second):
        client.expect("42-for-both")
    second.close()
    assert first.run("echo still here").output == "still here\n"
    first.close()
    assert Place("shared").log.read_text().count("42-for-both") == 1


@pytest.mark.parametrize(
    ("command", "reason", "detail"),
    [
        ("poweroff", "poweroff", ""),
        ("reboot -f", "reset", ""),
        ("echo c > /proc/sysrq-trigger", "panic", "Kernel panic - not syncing: sysrq triggered crash"),
    ],
)
def test_an_end_has_a_reason(quick: Path, command: str, reason: str, detail: str) -> None:
    state = up(quick, "ends")
    console = shell("ends")
    console.leave()
    console.write(command + "\n")
    last = ended("ends")
    assert (last.state, last.reason, last.detail) == ("ended", reason, detail)
    assert gone(state.pid) and not Place("ends").console.exists()
    assert reason in sampan("vm", "ls").stdout
    with pytest.raises(SampanError, match="ends: has ended"):
        vm.qmp("ends", "query-status")
    console.close()
    assert up(quick, "ends").state == "running", "an ended machine's name is free"


#: Selects the 6300ESB's fast clock and starts it; no driver feeds it, so it bites after two seconds.
_BITE = (
    "for d in /sys/bus/pci/devices/*; do if [ $(cat $d/device) = 0x25ab ]; then"
    " printf '\\004\\000' | dd of=$d/config bs=2 seek=48 count=1;"
    " printf '\\002' | dd of=$d/config bs=1 seek=104 count=1; fi; done"
)


def test_a_watchdog_that_bites(folder_of: Callable[[str], Path]) -> None:
    up(folder_of("qemux86-64"), "bitten", watchdog=True)
    console = shell("bitten")
    assert "1 records out" in console.run(_BITE).output.replace("+0", "")
    assert ended("bitten").reason == "watchdog"
    console.close()


def test_a_reboot_is_counted_when_it_is_wanted(quick: Path) -> None:
    up(quick, "again", reboot=True)
    console = shell("again")
    console.leave()
    console.write("echo c > /proc/sysrq-trigger\n")
    until(lambda: (state := Place("again").read()) and state.resets == 1 and state.state == "running")
    state = Place("again").read()
    assert state is not None and "sysrq triggered crash" in state.detail
    console.close()
    console = shell("again")
    assert console.run("cut -d. -f1 /proc/uptime").ok
    console.close()


def test_a_stopped_machine_says_so(quick: Path) -> None:
    up(quick, "still")
    vm.qmp("still", "stop")
    until(lambda: (state := Place("still").read()) and state.state == "paused")
    vm.qmp("still", "cont")
    until(lambda: (state := Place("still").read()) and state.state == "running")


def test_a_killed_qemu_and_a_killed_keeper(quick: Path) -> None:
    state = up(quick, "victim")
    os.kill(state.pid, signal.SIGKILL)
    last = ended("victim")
    assert (last.reason, last.detail) == ("died", "killed by SIGKILL")
    state = up(quick, "victim")
    os.kill(state.keeper, signal.SIGKILL)
    last = ended("victim")
    assert last.reason == "lost"
    until(lambda: gone(state.pid))
    vm.down("victim")


def test_a_machine_that_does_not_come_up(quick: Path) -> None:
    with pytest.raises(SampanError, match="nope: the machine did not come up: .*exit status 1"):
        up(quick, "nope", ram="999999G")
    with pytest.raises(SampanError, match="nope: the machine did not come up: .*Kernel panic"):
        up(quick, "nope", append="rdinit=/no/such/init")


def test_whoever_is_killed_while_it_waits_leaves_nothing(quick: Path, runtime: Path) -> None:
    argv = [sys.executable, "-m", "sampan", "vm", "up", str(quick), "--name", "orphan", "--snapshot"]
    for delay in (0.15, 0.3, 0.5, 0.8):
        client = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)  # any moment will do
        client.kill()
        client.wait()
        until(lambda: not Place("orphan").held)
        until(lambda: not (runtime / "sampan/vm/orphan/state.json").exists())
        vm.down("orphan") if Place("orphan").folder.exists() else None


def test_a_screenshot(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    up(folder_of("qemux86-64"), "seen", display=True)
    vm.screenshot("seen", tmp_path / "seen.png")
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_behind_a_slow_faulty_line(quick: Path) -> None:
    """Commands are right or an error on a line that loses bytes; its pace is that of a wire."""
    up(quick, "noisy", line="115200,flip=1e-4,drop=1e-4,seed=5")
    console = shell("noisy")
    began = time.monotonic()
    assert console.run("head -c 23040 /dev/zero | tr '\\0' x | sha256sum; seq 500").output.count("\n") == 501
    assert time.monotonic() - began > 0.3, "4.4 kB twice at 11.5 kB/s"
    console.close()
