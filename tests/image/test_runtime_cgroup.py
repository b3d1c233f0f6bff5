"""Cgroup files of running containers, and device lists that change while they run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_inject import Injector
from runtime_lab import CGROUPS, Lab, need_host, wait_for

pytestmark = pytest.mark.both_ways

ZERO = "c 1:5"


def listed(lab: Lab, label: str, *lines: str) -> str:
    """A running container that may use null, and has a node of zero that its list forbids."""
    name = lab.make(label, *(lines or ("lxc.cgroup.devices.deny = a", "lxc.cgroup.devices.allow = c 1:3 rwm")))
    os.mknod(lab.root(name) / "tmp/zero", 0o20666, os.makedev(1, 5))
    lab.ok("start", name)
    return name


def reads(lab: Lab, name: str) -> bool:
    done = lab.attach(name, "head -c 1 /tmp/zero")
    assert done.returncode == 0 or "Operation not permitted" in done.stderr, done.stderr
    return done.returncode == 0


def test_a_device_comes_and_goes(any_lab: Lab) -> None:
    name = listed(any_lab, "live")
    assert not reads(any_lab, name)
    any_lab.ok("cgroup", "-n", name, "devices.allow", f"{ZERO} r")
    assert reads(any_lab, name)
    assert any_lab.attach(name, "echo >/tmp/zero").returncode != 0, "reading was allowed, not writing"
    assert any_lab.ok("cgroup", name, "devices.list").splitlines() == ["c 1:3 rwm", "c 1:5 r"]
    assert json.loads(any_lab.ok("cgroup", name, "devices.list", "--json")) == "c 1:3 rwm\nc 1:5 r\n"
    any_lab.ok("cgroup", name, "devices.deny", f"{ZERO} rwm")
    assert not reads(any_lab, name)
    assert any_lab.attach(name, "head -c 0 /dev/null").returncode == 0, "the others are as they were"
    any_lab.ok("stop", "-k", name)


def test_a_deny_list_gets_longer(any_lab: Lab) -> None:
    name = listed(any_lab, "denylist", "lxc.cgroup.devices.allow = a")
    assert reads(any_lab, name)
    any_lab.ok("cgroup", name, "devices.deny", f"{ZERO} rwm")
    assert not reads(any_lab, name)
    assert any_lab.ok("cgroup", name, "devices.list") == "a *:* rwm\n", "as the v1 controller says it"
    any_lab.ok("stop", "-k", name)


def test_a_wrong_rule_changes_nothing(any_lab: Lab) -> None:
    name = listed(any_lab, "wrong")
    for bad in ("c 1:5", "x 1:5 r", "c 1:5 rwx", "c 1:5 r extra", ""):
        refused = any_lab.sampan("cgroup", name, "devices.allow", bad)
        assert refused.returncode == 1 and refused.stderr, bad
    assert any_lab.ok("cgroup", name, "devices.list") == "c 1:3 rwm\n"
    assert not reads(any_lab, name)
    any_lab.ok("stop", "-k", name)


def test_it_works_without_the_supervisor(any_lab: Lab) -> None:
    name = listed(any_lab, "orphan")
    os.kill(any_lab.state(name)["supervisor"], signal.SIGKILL)
    wait_for(lambda: any_lab.state(name)["supervisor"] is None)
    any_lab.ok("cgroup", name, "devices.allow", f"{ZERO} r")
    assert reads(any_lab, name)
    any_lab.ok("stop", "-k", name)


def test_what_is_denied_stays_denied_during_changes(any_lab: Lab) -> None:
    """A program inside tries all the time while the list is changed; only its own device may open."""
    name = listed(any_lab, "race")
    (any_lab.root(name) / "try").write_text(
        "while ! test -e /stop; do (: </tmp/zero) 2>/dev/null && echo open >>/opened; done\n"
    )
    trying = threading.Thread(target=lambda: any_lab.attach(name, "sh /try"))
    trying.start()
    for _ in range(20):
        any_lab.ok("cgroup", name, "devices.allow", "c 1:8 r")
        any_lab.ok("cgroup", name, "devices.deny", "c 1:8 r")
    (any_lab.root(name) / "stop").touch()
    trying.join()
    assert not (any_lab.root(name) / "opened").exists()
    any_lab.ok("stop", "-k", name)


def test_values_are_read_and_set(lab: Lab) -> None:
    if not (CGROUPS / "pids").is_dir():
        pytest.skip("needs the v1 pids controller")
    name = lab.make("value", "lxc.cgroup.pids.max = 77")
    lab.ok("start", name)
    assert lab.ok("cgroup", "-n", name, "pids.max") == "77\n"
    assert json.loads(lab.ok("cgroup", "-n", name, "pids.max", "--json")) == "77\n"
    assert json.loads(lab.ok("cgroup", "-n", name, "pids.max", "77", "--json")) is None
    lab.ok("cgroup", "-n", name, "pids.max", "88")
    assert (CGROUPS / "pids/sampan" / name / "pids.max").read_text() == "88\n"
    for file, value in (
        ("nosuch.max", ["1"]),
        ("nosuch.max", []),
        ("../../x.y", []),
        ("pids", []),
        ("pids.max", ["x"]),
    ):
        refused = lab.sampan("cgroup", name, file, *value)
        assert refused.returncode == 1 and refused.stderr, file
    lab.ok("stop", "-k", name)
    assert lab.sampan("cgroup", name, "pids.max").returncode == 1


def test_the_list_of_an_earlier_start_is_forgotten(lab: Lab) -> None:
    name = listed(lab, "stale")
    state = lab.state(name)
    for task in ("supervisor", "pid"):
        os.kill(state[task], signal.SIGKILL)
    wait_for(lambda: lab.state(name)["state"] == "STOPPED")
    config = lab.lxc / name / "config"
    config.write_text("".join(line for line in config.open() if "devices" not in line))
    lab.ok("start", name)
    assert lab.ok("cgroup", name, "devices.list") == "a *:* rwm\n"
    lab.ok("stop", "-k", name)


# -- where they are made


@pytest.fixture
def group() -> Iterator[str]:
    """The name of a group for one test, which may fill it: gone afterwards, in every hierarchy."""
    need_host()
    name = f"g{os.getpid()}"
    yield name
    for place in (CGROUPS, *CGROUPS.iterdir()):
        for folder in sorted((place / name).rglob("*"), reverse=True):
            if folder.is_dir():
                folder.rmdir()
        if (place / name).is_dir():
            (place / name).rmdir()


def places(lab: Lab, name: str) -> list[Path]:
    state = (lab.run_dir / name / "state").read_text()
    return [Path(line.split()[2]) for line in state.splitlines() if line.startswith("cgroup ")]


def test_they_are_where_the_configuration_says(any_lab: Lab, group: str) -> None:
    name = listed(
        any_lab, "placed", "lxc.cgroup.devices.deny = a", "lxc.cgroup.devices.allow = c 1:3 rwm",
        f"lxc.cgroup.dir = {group}/first", "lxc.mount.auto = sys cgroup:rw:force",
    )  # fmt: skip
    found = places(any_lab, name)
    assert found and all(f"/{group}/first/sampan/{name}" in str(path) for path in found)
    assert all(any_lab.state(name)["pid"] in map(int, (path / "cgroup.procs").read_text().split()) for path in found)
    assert not reads(any_lab, name)
    any_lab.ok("stop", name, "-k")
    assert not any(path.exists() for path in found)


def test_they_are_below_those_of_the_caller(any_lab: Lab, group: str) -> None:
    name = any_lab.make("inner", "lxc.cgroup.relative = 1", "lxc.cgroup.dir = more", "lxc.cgroup.devices.deny = a")
    root = Path(any_lab.env.get("SAMPAN_CGROUP_ROOT", CGROUPS))
    ours = [place / group for place in (CGROUPS / "devices", CGROUPS / "unified", CGROUPS / "freezer", CGROUPS)
            if (place / "cgroup.procs").exists() and place.is_relative_to(root)]  # fmt: skip
    for folder in ours:
        folder.mkdir()
    enter = "".join(f"echo $$ >{folder}/cgroup.procs && " for folder in ours)
    argv = ["/bin/sh", "-c", f'{enter}exec "$@"', "sh", *any_lab.command("start", name)]
    subprocess.run(argv, env=any_lab.environment(), check=True, timeout=60)
    found = places(any_lab, name)
    assert found and all(f"/{group}/more/sampan/{name}" in str(path) for path in found)
    any_lab.ok("stop", name, "-k")
    assert not any(path.exists() for path in found)


def made(report: Path) -> int:
    return len(report.read_text().splitlines()) if report.exists() else 0


def test_of_two_first_starts_none_fails(lab: Lab, injector: Injector, group: str) -> None:
    """At each folder a start comes to make, another one has just made it, and all that it needs itself."""
    report, turn = lab.path / "report", 0
    while made(report) >= turn:
        turn += 1
        report.unlink(missing_ok=True)
        state = lab.path / f"run{turn}"
        lab.env["SAMPAN_RUN"] = str(state)
        name = lab.make(f"first{turn}", "lxc.cgroup.devices.deny = a", f"lxc.cgroup.dir = {group}/{turn}")
        delay = ["delay", 0, injector.number("mkdir"), 200]
        start = injector.popen(lab, delay, "execute", name, "--", "/bin/true", stderr=subprocess.PIPE)
        wait_for(lambda: made(report) >= turn or start.poll() is not None)  # noqa: B023
        state.mkdir(mode=0o700, exist_ok=True)
        for place in (CGROUPS, *CGROUPS.iterdir()):
            if (place / "cgroup.procs").exists():
                (place / group / str(turn) / "sampan").mkdir(parents=True, exist_ok=True)
        said = start.communicate(timeout=60)[1]
        assert start.returncode == 0, (turn, said)
    assert turn > 5, "it makes one of the state, and a group with two above"


def test_a_place_that_is_none_is_refused(lab: Lab) -> None:
    for label, wrong in (("top", "/top"), ("up", "../up")):
        assert "must lead down" in lab.sampan("start", lab.make(label, f"lxc.cgroup.dir = {wrong}")).stderr
