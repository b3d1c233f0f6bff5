"""Freezing, waiting for states and watching them, on each kind of freezer this host has."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_lab import ALL_OFF, CGROUPS, Lab, run_lab, wait_for

pytestmark = pytest.mark.both_ways

#: Where the freezer is, and with which system calls.
FREEZERS = {"host": "", "v2": "unified", "v1": "freezer", "old-kernel-v1": "freezer"}


@pytest.fixture(params=FREEZERS)
def cold_lab(
    request: pytest.FixtureRequest, runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    env = {"SAMPAN_DISABLE": ALL_OFF} if "old" in request.param else {}
    if root := FREEZERS[request.param]:
        if not (CGROUPS / root).is_dir():
            pytest.skip(f"needs {CGROUPS / root}")
        env["SAMPAN_CGROUP_ROOT"] = str(CGROUPS / root)
    yield from run_lab(runtime_binary, tmp_path_factory.mktemp("l"), env)


def counting(lab: Lab, label: str) -> tuple[str, Path]:
    """A container that adds a byte to a file all the time, and the file."""
    name = lab.make(label)
    (lab.root(name) / "etc/inittab").write_text("::respawn:/bin/sh /count\n")
    (lab.root(name) / "count").write_text("while :; do echo >>/beat; sleep 0.01; done\n")
    beat = lab.root(name) / "beat"
    lab.ok("start", name)
    wait_for(beat.exists)  # an init that has only begun takes no halt signal yet
    return name, beat


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def beats(file: Path) -> bool:
    before = size(file)
    time.sleep(0.3)
    return size(file) > before


def test_frozen_stands_still_and_goes_on(cold_lab: Lab) -> None:
    name, file = counting(cold_lab, "cold")
    wait_for(lambda: size(file) > 0)
    cold_lab.ok("freeze", "-n", name)
    assert not beats(file)
    assert cold_lab.state(name)["state"] == "FROZEN"
    assert cold_lab.ok("ls", "--frozen", "-1").split() == [name]
    assert cold_lab.ok("ls", "--running", "-1") == ""
    refused = cold_lab.sampan("attach", name, "--", "/bin/true")
    assert refused.returncode == 125 and "unfreeze" in refused.stderr
    cold_lab.ok("unfreeze", "-n", name)
    assert cold_lab.state(name)["state"] == "RUNNING"
    before = size(file)
    wait_for(lambda: size(file) > before)
    cold_lab.ok("stop", name)


@pytest.mark.parametrize("how", [(), ("-k",)])
def test_a_frozen_container_stops(cold_lab: Lab, how: tuple[str, ...]) -> None:
    """Also by the halt signal, which a frozen init could not take."""
    name, _ = counting(cold_lab, "ice")
    cold_lab.ok("freeze", name)
    cold_lab.ok("stop", *how, "-t", "30", name)
    assert cold_lab.state(name)["state"] == "STOPPED"


def test_a_frozen_container_without_supervisor_stops(cold_lab: Lab) -> None:
    name, _ = counting(cold_lab, "orphan")
    os.kill(cold_lab.state(name)["supervisor"], signal.SIGKILL)
    wait_for(lambda: cold_lab.state(name)["supervisor"] is None)
    cold_lab.ok("freeze", name)
    assert cold_lab.state(name)["state"] == "FROZEN"
    cold_lab.ok("unfreeze", name)
    assert cold_lab.state(name)["state"] == "RUNNING"
    cold_lab.ok("freeze", name)
    cold_lab.ok("stop", "-k", name)


def test_without_a_freezer_it_is_said(lab: Lab) -> None:
    if not (CGROUPS / "devices").is_dir():
        pytest.skip("needs a v1 hierarchy without freezer")
    lab.env["SAMPAN_CGROUP_ROOT"] = str(CGROUPS / "devices")
    name = lab.make("warm", "lxc.cgroup.devices.deny = a")
    assert lab.sampan("freeze", name).returncode == 1, "it does not run"
    lab.ok("start", name)
    refused = lab.sampan("freeze", name)
    assert refused.returncode == 1 and "freezer" in refused.stderr
    assert lab.state(name)["state"] == "RUNNING"
    lab.ok("stop", "-k", name)


def test_monitor_prints_every_change_as_lxc_does(cold_lab: Lab) -> None:
    name, other = cold_lab.make("watched"), cold_lab.make("other")
    watch = cold_lab.popen("monitor", "-n", ".*-(watched|x+)", stdout=subprocess.PIPE)
    wait_for(lambda: any((cold_lab.run_dir / ".watch").glob("*")))
    cold_lab.ok("start", other)
    cold_lab.ok("start", name)
    cold_lab.ok("freeze", name)
    cold_lab.ok("unfreeze", name)
    cold_lab.ok("stop", "-k", name)
    cold_lab.ok("stop", "-k", other)
    wait_for(lambda: not (cold_lab.run_dir / name).exists())
    watch.terminate()
    said = watch.communicate(timeout=20)[0].decode().splitlines()
    states = ["STARTING", "RUNNING", "FREEZING", "FROZEN", "THAWED", "RUNNING"]
    assert said == [
        *(f"'{name}' changed state to [{state}]" for state in states),
        f"'{name}' exited with status [137]",
        f"'{name}' changed state to [STOPPED]",
    ]


def test_monitor_refuses_what_is_no_expression(lab: Lab) -> None:
    for bad in ("(a", "a)", "[a", "*a", "a{2}", "a\\"):
        assert lab.sampan("monitor", "-n", bad).returncode == 1, bad


def test_wait_returns_with_the_state(cold_lab: Lab) -> None:
    name = cold_lab.make("awaited")
    waits = {
        states: cold_lab.popen("wait", "-n", name, "-s", states) for states in ("RUNNING", "STOPPING|FROZEN", "THAWED")
    }
    wait_for(lambda: len(list((cold_lab.run_dir / ".watch").glob("*"))) == 3)
    assert cold_lab.sampan("wait", name, "-s", "STOPPED", "-t", "0").returncode == 0
    cold_lab.ok("start", name)
    assert waits["RUNNING"].wait(20) == 0
    late = cold_lab.sampan("wait", name, "-s", "STOPPED", "-t", "0")
    assert late.returncode == 1 and "RUNNING" in late.stderr
    cold_lab.ok("freeze", name)
    assert waits["STOPPING|FROZEN"].wait(20) == 0
    cold_lab.ok("unfreeze", name)
    assert waits["THAWED"].wait(20) == 0
    stopped = cold_lab.popen("wait", name, "-s", "STOPPED")
    wait_for(lambda: any((cold_lab.run_dir / ".watch").glob("*")))
    cold_lab.ok("stop", "-k", name)
    assert stopped.wait(20) == 0


def test_wait_sees_the_end_of_supervisor_and_container(cold_lab: Lab) -> None:
    name = cold_lab.make("killed")
    cold_lab.ok("start", name)
    state = cold_lab.state(name)
    waiting = cold_lab.popen("wait", name, "-s", "STOPPED")
    wait_for(lambda: any((cold_lab.run_dir / ".watch").glob("*")))
    os.kill(state["supervisor"], signal.SIGKILL)
    wait_for(lambda: cold_lab.state(name)["supervisor"] is None)
    assert waiting.poll() is None
    os.kill(state["pid"], signal.SIGKILL)
    assert waiting.wait(20) == 0
    cold_lab.ok("start", name)
    cold_lab.ok("stop", "-k", name)


def test_a_killed_watcher_leaves_nothing_for_long(lab: Lab) -> None:
    name = lab.make("stale")
    watch = lab.popen("monitor")
    wait_for(lambda: any((lab.run_dir / ".watch").glob("*")))
    watch.kill()
    watch.wait()
    lab.ok("start", name)
    assert not (lab.run_dir / ".watch").exists()
    lab.ok("stop", "-k", name)


def test_a_start_that_fails_is_told(lab: Lab) -> None:
    name = lab.make("abort", "lxc.init.cmd = /nosuch")
    watch = lab.popen("monitor", name, stdout=subprocess.PIPE)
    wait_for(lambda: any((lab.run_dir / ".watch").glob("*")))
    assert lab.sampan("start", name).returncode == 127
    watch.terminate()
    said = watch.communicate(timeout=20)[0].decode()
    assert [line.rpartition("[")[2] for line in said.splitlines()] == ["STARTING]", "ABORTING]", "STOPPED]"]


def test_wait_names_a_wrong_state(lab: Lab) -> None:
    refused = lab.sampan("wait", "x", "-s", "RUNING")
    assert refused.returncode == 1 and "RUNING" in refused.stderr and "RUNNING" in refused.stderr
    assert lab.sampan("wait", "x").returncode == 1


def test_monitor_ends_when_nobody_reads_it(lab: Lab) -> None:
    name = lab.make("pipe")
    watch = lab.popen("monitor", stdout=subprocess.PIPE)
    wait_for(lambda: any((lab.run_dir / ".watch").glob("*")))
    assert watch.stdout is not None
    watch.stdout.close()
    lab.ok("start", name)
    assert watch.wait(20) == 1
    lab.ok("stop", "-k", name)
