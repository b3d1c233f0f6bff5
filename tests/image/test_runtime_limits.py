"""Values a configuration sets: limits, sysctls, /proc/PID, groups, signals, logs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from runtime_lab import Lab, gone, wait_for

pytestmark = pytest.mark.both_ways


def run(lab: Lab, name: str, script: str) -> str:
    return lab.ok("execute", name, "--", "/bin/sh", "-c", script)


def test_resource_limits(any_lab: Lab) -> None:
    name = any_lab.make(
        "limits", "lxc.prlimit.nofile = 100:200", "lxc.limit.core = unlimited", "lxc.prlimit.stack = 1048576"
    )
    assert run(any_lab, name, "ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -s") == "100\n200\nunlimited\n1024\n"


def test_limits_hold_for_what_is_attached(lab: Lab) -> None:
    name = lab.make("attached", "lxc.prlimit.nofile = 77")
    lab.ok("start", name)
    assert lab.attach(name, "ulimit -n").stdout == "77\n"
    lab.ok("stop", "-k", name)


def test_sysctls_are_the_containers_own(any_lab: Lab) -> None:
    before = Path("/proc/sys/kernel/msgmax").read_text()
    name = any_lab.make(
        "sysctl", "lxc.mount.auto = proc:rw", "lxc.sysctl.kernel.msgmax = 4321", "lxc.sysctl.net.ipv4.ip_forward = 1"
    )
    assert run(any_lab, name, "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward") == "4321\n1\n"
    assert Path("/proc/sys/kernel/msgmax").read_text() == before


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("lxc.sysctl.kernel.core_pattern = |/x", "the whole system's"),
        ("lxc.sysctl.net/../kernel/core_pattern = x", "single dots between"),
        ("lxc.sysctl.vm.swappiness = 1", "the whole system's"),
        ("lxc.proc.attr/exec = x", "only oom_score_adj"),
        ("lxc.prlimit.nofile = 2:1", "soft not above hard"),
        ("lxc.prlimit.nofile = 1:", "must be SOFT"),
        ("lxc.prlimit.files = 1", "no such limit"),
    ],
)
def test_what_would_reach_beyond_the_container_is_refused(lab: Lab, line: str, why: str) -> None:
    name = lab.make("refused", line)
    failed = lab.sampan("execute", name, "--", "/bin/true")
    assert failed.returncode == 125 and why in failed.stderr


def test_network_sysctls_need_an_own_network(lab: Lab) -> None:
    name = lab.make("hostnet", "lxc.net.0.type = none", "lxc.sysctl.net.ipv4.ip_forward = 1")
    assert "not the container's own" in lab.sampan("execute", name, "--", "/bin/true").stderr


def test_a_sysctl_this_kernel_has_not_fails_the_start(lab: Lab) -> None:
    name = lab.make("none", "lxc.sysctl.net.ipv4.no_such = 1")
    assert "no /proc/sys/net/ipv4/no_such" in lab.sampan("execute", name, "--", "/bin/true").stderr


def test_oom_score_and_groups(lab: Lab) -> None:
    name = lab.make("oom", "lxc.proc.oom_score_adj = 321", "lxc.init.groups = 100,1000", "lxc.mount.auto = proc")
    assert run(lab, name, "cat /proc/self/oom_score_adj; id -G") == "321\n0 100 1000\n"


def test_the_stop_signal_comes_first(lab: Lab) -> None:
    name = lab.make("signal", "lxc.signal.stop = SIGUSR1", "lxc.init.cmd = /bin/sh /init.sh")
    (lab.root(name) / "init.sh").write_text(
        "trap 'echo done > /got; exit 0' USR1\n: >/ready\nwhile :; do sleep 0.1; done\n"
    )
    lab.ok("start", name)
    wait_for((lab.root(name) / "ready").exists)
    lab.ok("stop", "-k", name)
    assert (lab.root(name) / "got").read_text() == "done\n"


def test_pdeath_takes_the_container_along(lab: Lab) -> None:
    name = lab.make("pdeath", "lxc.monitor.signal.pdeath = SIGKILL")
    lab.ok("start", name)
    state = lab.state(name)
    os.kill(state["supervisor"], signal.SIGKILL)
    wait_for(lambda: gone(state["pid"]))
    assert lab.sampan("stop", name).returncode == 2  # and cleans up


def test_the_log_file_says_what_happened(lab: Lab) -> None:
    log = lab.path / "log"
    name = lab.make("log", f"lxc.log.file = {log}", "lxc.log.level = INFO", "lxc.init.cmd = /no/such")
    assert lab.sampan("start", name).returncode == 127
    text = log.read_text()
    assert f"INFO {name}: STARTING\n" in text and f"ERROR {name}: /no/such" in text


def test_the_command_lines_log_wins(lab: Lab) -> None:
    name = lab.make("olog", f"lxc.log.file = {lab.path}/other")
    lab.ok("start", "-o", str(lab.path / "mine"), "-l", "DEBUG", name)
    lab.ok("stop", "-k", name)
    assert f"{name}: RUNNING" in (lab.path / "mine").read_text() and not (lab.path / "other").exists()


def test_monitor_unshare_hides_mounts_of_hooks(lab: Lab) -> None:
    place = lab.path / "place"
    place.mkdir()
    name = lab.make("unshare", "lxc.monitor.unshare = 1", f"lxc.hook.pre-start = mount -t tmpfs none {place} #")
    lab.ok("start", name)
    assert str(place) not in Path("/proc/mounts").read_text()
    lab.ok("stop", "-k", name)
