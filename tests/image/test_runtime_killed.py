"""A supervisor that is killed, at any moment: what it leaves is adopted or cleaned up; and two starts at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from runtime_inject import Call, Injector
from runtime_lab import Lab, cgroup_leftovers, gone, wait_for
from test_runtime_faults import LAYOUTS, interfaces, layout_lab

ALL = os.environ.get("SAMPAN_FAULTS") == "1"
STEP = 1 if ALL else 17
CONFIG = (
    "lxc.cgroup.devices.deny = a",
    "lxc.cgroup.devices.allow = c 1:3 rw",
    "lxc.net.0.type = veth",
    "lxc.tty.max = 1",
    "lxc.hook.post-stop = sh -c 'echo stopped >>@/ended'",
)


def make(lab: Lab, *more: str) -> str:
    return lab.make("kill", *(line.replace("@", str(lab.path)) for line in (*CONFIG, *more)))


def of(name: str) -> list[int]:
    """The processes whose command line names this container."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if name.encode() in words:
            found.append(int(folder.name))
    return found


def frozen(name: str) -> bool:
    groups = [Path(group) for group in cgroup_leftovers(name)]
    return any((g / "freezer.state").exists() and "FROZEN" in (g / "freezer.state").read_text() for g in groups) or any(
        (g / "cgroup.freeze").exists() and (g / "cgroup.freeze").read_text().strip() == "1" for g in groups
    )


def judge(lab: Lab, name: str, before: set[str], turn: int) -> None:
    """After the kill: info tells the truth, and stop, start and destroy do what they say."""
    state = lab.state(name)
    assert state["state"] in ("STOPPED", "STARTING", "RUNNING", "FROZEN", "STOPPING"), state
    if state["state"] == "STOPPED":
        assert not frozen(name) and state["pid"] in (None, -1, 0), state
    way = turn % 3
    if way == 0:  # stop it, whatever it is
        stopped = lab.sampan("stop", "-k", name)
        assert stopped.returncode in (0, 2), stopped.stderr
        assert stopped.returncode == 0 or "not running" in stopped.stderr
    elif way == 1:  # start it again; when it still runs this is refused, and stop helps
        started = lab.sampan("start", name)
        if started.returncode:
            assert "already" in started.stderr, started.stderr
            assert state["state"] != "STOPPED"
        stopped = lab.sampan("stop", "-k", name)  # what was killed in its stop may just have ended
        assert stopped.returncode == 0 or (started.returncode and "not running" in stopped.stderr), stopped.stderr
    else:
        refused = lab.sampan("destroy", name)
        if refused.returncode:
            assert "running" in refused.stderr, refused.stderr
            lab.ok("destroy", "-f", name)
    assert lab.left_behind() == []
    wait_for(lambda: interfaces() <= before)
    wait_for(lambda: all(gone(pid) for pid in of(name)))
    if way == 2:
        lab.names.remove(name)
    else:
        lab.ok("execute", name, "--", "/bin/true")


def kill_each(lab: Lab, injector: Injector) -> None:
    before = interfaces()
    name = make(lab)
    calls = injector.run(lab, ["list"], "execute", name, "--", "/bin/true").calls
    chosen: list[Call] = calls[3::STEP]
    for turn, call in enumerate(chosen):
        if name not in lab.names:
            name = make(lab)
        injector.run(lab, ["kill", call.proc, call.seq, 0], "execute", name, "--", "/bin/sleep", "0.01")
        try:
            judge(lab, name, before, turn)
        except AssertionError as wrong:
            raise AssertionError(f"killed at {call}: {wrong}") from wrong


@pytest.mark.parametrize("layout", LAYOUTS)
def test_killed_at_each_call_of_a_start(
    layout: str, runtime_binary: Path, injector: Injector, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The supervisor dies as it, or the process it has made, comes to a call."""
    for lab in layout_lab(layout, runtime_binary, tmp_path_factory):
        kill_each(lab, injector)


@pytest.mark.parametrize("seed", range(4 if ALL else 1))
def test_killed_at_fifty_moments(lab: Lab, seed: int) -> None:
    """In a start, while it runs or is frozen, in a stop."""
    moments = random.Random(seed)
    before = interfaces()
    name = make(lab)
    for turn in range(50):
        if name not in lab.names:
            name = make(lab)
        phase = turn % 5
        starting = lab.popen("start", name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if phase > 0:
            assert starting.wait(30) == 0
        if phase == 2:
            lab.ok("freeze", name)
        if phase in (3, 4):
            lab.popen("freeze" if phase == 3 else "stop", name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.random() * (0.03 if phase == 0 else 0.01))
        for pid in of(name):
            # The one whose parent is not of the container itself: supervisor, or who starts it.
            os.kill(pid, signal.SIGKILL)
        for process in lab.processes:
            process.wait(30)
        lab.processes.clear()
        judge(lab, name, before, turn)


def test_of_two_starts_exactly_one_wins(any_lab: Lab) -> None:
    """Whatever the cgroups; the loser knows why."""
    name = any_lab.make("race", "lxc.cgroup.devices.deny = a")
    with ThreadPoolExecutor(2) as two:
        for _ in range(20):
            done = list(two.map(lambda _: any_lab.sampan("start", name), range(2)))
            assert sorted(d.returncode for d in done) == [0, 1], [d.stderr for d in done]
            lost = next(d for d in done if d.returncode)
            assert lost.stderr in {
                f"sampan: {name}: the container is already {word}\n" for word in ("starting", "running")
            }
            assert any_lab.state(name)["state"] == "RUNNING"
            any_lab.ok("stop", "-k", name)
            assert any_lab.left_behind() == []


def test_of_two_executes_exactly_one_wins(lab: Lab) -> None:
    name = lab.make("race")
    with ThreadPoolExecutor(2) as two:
        for _ in range(20):
            words = (name, "--", "/bin/sleep", "0.3")
            done = list(two.map(lambda _, words=words: lab.sampan("execute", *words), range(2)))
            assert sorted(d.returncode for d in done) == [0, 125], [d.stderr for d in done]
