"""sampan.restart, sampan.start.timeout and sampan.stop.timeout: what LXC has not, and what nobody gets unasked."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from runtime_lab import Lab, cgroup_leftovers, gone, wait_for

pytestmark = pytest.mark.both_ways


def starts(lab: Lab, name: str) -> int:
    seen = lab.root(name) / "starts"
    return len(seen.read_text().split()) if seen.exists() else 0


def counting(lab: Lab, label: str, script: str, *lines: str) -> str:
    """A container whose command counts its starts in a file, then does `script`."""
    name = lab.make(label, *lines)
    (lab.root(name) / "run.sh").write_text(f"echo x >>/starts\n{script}\n")
    return name


def execute(lab: Lab, name: str) -> None:
    lab.ok("execute", name, "-d", "--", "/bin/sh", "/run.sh")


@pytest.mark.parametrize("how", ["-k", "-t5"])
def test_it_comes_back_until_somebody_stops_it(any_lab: Lab, how: str) -> None:
    script = "[ $(wc -l </starts) -gt 2 ] && exec sleep 1000; exit 7"
    name = counting(any_lab, "again", script, "sampan.restart = on-failure", "sampan.restart.delay = 0")
    execute(any_lab, name)
    wait_for(lambda: starts(any_lab, name) == 3 and any_lab.state(name)["state"] == "RUNNING")
    any_lab.ok("stop", name, how)
    assert any_lab.state(name)["state"] == "STOPPED"
    assert starts(any_lab, name) == 3


def test_a_good_end_is_one(lab: Lab) -> None:
    name = counting(lab, "good", "exit 0", "sampan.restart = on-failure", "sampan.restart.delay = 0")
    execute(lab, name)
    lab.ok("wait", name, "-s", "STOPPED", "-t", "20")
    assert starts(lab, name) == 1


def test_not_for_ever(lab: Lab, tmp_path: Path) -> None:
    lines = ("sampan.restart = always", "sampan.restart.delay = 0", "sampan.restart.max = 3")
    name = counting(lab, "max", "exit 0", *lines, f"lxc.log.file = {tmp_path}/log")
    execute(lab, name)
    wait_for(lambda: "restarts have not helped" in (tmp_path / "log").read_text())
    lab.ok("wait", name, "-s", "STOPPED", "-t", "20")
    assert starts(lab, name) == 4


def test_nobody_gets_it_unasked(lab: Lab) -> None:
    for label, lines in (("off", ()), ("no", ("sampan.restart = always", "sampan.restart ="))):
        name = counting(lab, label, "exit 7", *lines)
        execute(lab, name)
        lab.ok("wait", name, "-s", "STOPPED", "-t", "20")
        assert starts(lab, name) == 1
    name = counting(lab, "fg", "exit 7", "sampan.restart = always")
    assert lab.sampan("execute", name, "--", "/bin/sh", "/run.sh").returncode == 7
    assert starts(lab, name) == 1


@pytest.mark.parametrize("how", ["-k", "-t5", "supervisor"])
def test_it_can_be_stopped_while_it_waits(lab: Lab, how: str) -> None:
    name = counting(lab, "waits", "exit 7", "sampan.restart = always", "sampan.restart.delay = 1000")
    execute(lab, name)
    wait_for(lambda: lab.state(name)["state"] == "STARTING" and starts(lab, name) == 1)
    again = lab.sampan("start", name)
    assert again.returncode == 1 and "already starting" in again.stderr
    if how == "supervisor":  # killed: what waits is nothing
        state = (lab.run_dir / name / "state").read_text()
        pid = int(state.partition("supervisor ")[2].split()[0])
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: gone(pid))
        assert lab.state(name)["state"] == "STOPPED"
    else:
        lab.ok("stop", name, how)
    assert lab.state(name)["state"] == "STOPPED" and starts(lab, name) == 1


def test_a_system_that_is_killed_comes_back_with_its_hooks(lab: Lab, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    name = lab.make(
        "system", "sampan.restart = on-failure", "sampan.restart.delay = 0",
        f"lxc.hook.post-stop = /bin/sh -c \"echo $LXC_TARGET >>{hooks} #\"",
    )  # fmt: skip
    lab.ok("start", name)
    first = lab.state(name)["pid"]
    lab.ok("attach", name, "--", "/bin/sh", "-c", "true")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: lab.state(name)["state"] == "RUNNING" and lab.state(name)["pid"] != first)
    lab.ok("stop", name, "-k")
    assert hooks.read_text().split() == ["reboot", "stop"]


@pytest.mark.parametrize("stage", ["pre-start", "mount", "start", "start-host"])
def test_a_start_that_takes_too_long_is_taken_back(lab: Lab, stage: str) -> None:
    name = lab.make("slow", "sampan.start.timeout = 1", "lxc.hook.version = 1", f"lxc.hook.{stage} = /bin/sleep 30")
    began = time.monotonic()
    failed = lab.sampan("start", name)
    assert failed.returncode == 1
    assert "took longer than sampan.start.timeout = 1 seconds" in failed.stderr
    assert time.monotonic() - began < 25
    assert cgroup_leftovers(name) == []


def test_a_start_in_time_has_no_limit_afterwards(lab: Lab) -> None:
    name = lab.make("intime", "sampan.start.timeout = 1")
    lab.ok("start", name)
    time.sleep(1.5)
    assert lab.state(name)["state"] == "RUNNING"
    lab.ok("stop", name, "-k")


@pytest.mark.parametrize("lines", [(), ("lxc.signal.stop = SIGUSR2",)])
def test_what_does_not_halt_is_killed_by_the_supervisor(lab: Lab, lines: tuple[str, ...]) -> None:
    """Nobody waits for it: the one who asked has left."""
    script = "trap '' TERM; trap 'echo stop >/got; exit 0' USR2; : >/ready; while :; do sleep 0.1; done"
    name = counting(lab, "stubborn", script, "sampan.stop.timeout = 1", *lines)
    execute(lab, name)
    wait_for((lab.root(name) / "ready").exists)
    lab.ok("stop", name, "-W")
    lab.ok("wait", name, "-s", "STOPPED", "-t", "20")
    assert (lab.root(name) / "got").exists() == bool(lines)


def test_without_the_key_it_is_waited_for(lab: Lab) -> None:
    name = counting(lab, "patient", "trap '' TERM; : >/ready; while :; do sleep 0.1; done")
    execute(lab, name)
    wait_for((lab.root(name) / "ready").exists)
    lab.ok("stop", name, "-W")
    assert lab.sampan("wait", name, "-s", "STOPPED", "-t", "2").returncode == 1
    lab.ok("stop", name, "-k")
