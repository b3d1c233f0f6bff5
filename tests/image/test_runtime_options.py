"""Options of start, execute and attach that stand for something else."""

from __future__ import annotations

import os
from pathlib import Path

from runtime_lab import Lab, wait_for


def test_define_goes_behind_the_configuration(lab: Lab) -> None:
    name = lab.make("define", "lxc.uts.name = before")
    words = ("-s", "lxc.uts.name=after", "-s", "lxc.environment = A=1")
    done = lab.ok("execute", name, *words, "--", "/bin/sh", "-c", "hostname; echo $A")
    assert done == "after\n1\n"


def test_a_bad_define_is_refused_by_name(lab: Lab) -> None:
    name = lab.make("bad")
    assert "option: lxc.uts.nam = x: unknown key" in lab.sampan("start", name, "-s", "lxc.uts.nam=x").stderr
    assert "not KEY=VALUE" in lab.sampan("start", name, "-s", "lxc.uts.name").stderr


def test_pidfile_and_console_log(lab: Lab, monkeypatch: object) -> None:
    name = lab.make("files", "lxc.init.cmd = /bin/sh -c 'echo hello > /dev/console; exec sleep 1000'")
    here = os.getcwd()
    os.chdir(lab.path)
    try:
        lab.ok("start", name, "-p", "pid", "-L", "log")
    finally:
        os.chdir(here)
    pid = lab.path / "pid"
    assert int(pid.read_text()) == lab.state(name)["supervisor"]
    wait_for(lambda: "hello" in (lab.path / "log").read_text())
    lab.ok("stop", "-k", name)
    assert not pid.exists()


def test_execute_as_somebody(lab: Lab) -> None:
    name = lab.make("user")
    assert lab.ok("execute", name, "-u", "12", "-g", "34", "--", "/bin/id", "-u") == "12\n"


def test_console_none(lab: Lab) -> None:
    name = lab.make("none")
    lab.ok("start", name, "-c", "none")
    assert "no console" in lab.sampan("console", name, "-t", "0").stderr
    lab.ok("stop", "-k", name)
    assert Path("/dev/null").is_char_device()
