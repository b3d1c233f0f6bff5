"""Options of start, execute and attach that stand for something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from runtime_lab import Lab, wait_for

pytestmark = pytest.mark.both_ways


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


def test_ls_has_lxcs_columns_groups_and_filter(lab: Lab) -> None:
    one = lab.make("one", "lxc.start.auto = 1", "lxc.group = a b")
    two = lab.make("two", "lxc.group = b")
    lab.ok("start", one)
    rows = [line.split() for line in lab.ok("ls", "-F", "name,state,pid,autostart,groups").splitlines()]
    pid = str(lab.state(one)["pid"])
    assert rows == [
        ["NAME", "STATE", "PID", "AUTOSTART", "GROUPS"],
        [one, "RUNNING", pid, "1", "a,b"],
        [two, "STOPPED", "-", "0", "b"],
    ]
    assert lab.ok("ls", "-1", "-g", "b,a").split() == [one]
    assert lab.ok("ls", "-1", "--filter", ".*-two").split() == [two]
    assert lab.ok("ls", "-f").split()[:7] == ["NAME", "STATE", "AUTOSTART", "GROUPS", "IPV4", "IPV6", "UNPRIVILEGED"]
    assert "not a column" in lab.sampan("ls", "-F", "nosuch").stderr
    lab.ok("stop", "-k", one)


def test_attach_runs_the_users_own_shell(lab: Lab) -> None:
    name = lab.make("shell")
    root = lab.root(name)
    (root / "bin/mysh").write_text("#!/bin/sh\necho mine\n")
    (root / "bin/mysh").chmod(0o755)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/mysh\nother:x:12:12::/:/bin/sh\n")
    lab.ok("start", name)
    assert lab.sampan("attach", name).stdout == "mine\n"
    assert lab.sampan("attach", name, "-u", "12", stdin="echo sh\n").stdout == "sh\n"
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("/dev/zero")
    assert lab.sampan("attach", name, stdin="echo sh\n").stdout == "sh\n"
    lab.ok("stop", "-k", name)
