"""Namespaces that are kept, shared or of other clocks (lxc.namespace.*, lxc.time.offset.*, start --share-*)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from runtime_lab import Lab, need_own_root

pytestmark = pytest.mark.both_ways

KINDS = ("cgroup", "ipc", "net", "pid", "uts")


@pytest.fixture(autouse=True)
def _host() -> None:
    need_own_root()


def spaces(lab: Lab, name: str, *options: str) -> dict[str, str]:
    """The namespaces of a payload; and it ends as one that has a pid namespace does."""
    script = f"for n in {' '.join(KINDS)} mnt time; do echo $n $(readlink /proc/self/ns/$n); done; exit 3"
    done = lab.sampan("execute", name, *options, "--", "/bin/sh", "-c", script)
    assert done.returncode == 3, done.stderr
    return dict(line.split() for line in done.stdout.splitlines() if " " in line)


def of(pid: int | str) -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in (*KINDS, "mnt", "time")}


def differ(ours: dict[str, str], theirs: dict[str, str]) -> set[str]:
    return {kind for kind in ours if ours[kind] != theirs[kind]}


def test_all_but_the_clocks_are_its_own(lab: Lab) -> None:
    name = lab.make("s", "lxc.mount.auto = proc")
    own = {*KINDS, "mnt"} - ({"cgroup"} if "cgroup_ns" in lab.off else set())
    assert differ(of("self"), spaces(lab, name)) == own


def test_kept_and_only_made(lab: Lab) -> None:
    name = lab.make("s", "lxc.mount.auto = proc:rw", "lxc.uts.name = never")
    host = os.uname().nodename
    assert differ(of("self"), spaces(lab, name, "-s", "lxc.namespace.keep=net uts pid cgroup")) == {"ipc", "mnt"}
    assert differ(of("self"), spaces(lab, name, "-s", "lxc.namespace.clone=mnt net")) == {"net", "mnt"}
    assert os.uname().nodename == host


@pytest.mark.parametrize("how", ["name", "pid", "path"])
def test_shared(lab: Lab, how: str) -> None:
    first = lab.make("a", "lxc.mount.auto = proc", "lxc.init.cmd = /bin/sleep 1000")
    lab.ok("start", first)
    pid = lab.state(first)["pid"]
    second = lab.make("b", "lxc.mount.auto = proc")
    options: list[str] = []
    for kind in KINDS:
        target = {"name": first, "pid": str(pid), "path": f"/proc/{pid}/ns/{kind}"}[how]
        options += [f"--share-{kind}", target] if kind != "cgroup" and how != "path" else []
        options += ["-s", f"lxc.namespace.share.{kind}={target}"] if kind == "cgroup" or how == "path" else []
    assert differ(of(pid), spaces(lab, second, *options)) == {"mnt"}
    lab.ok("stop", "-k", first)


def test_who_is_shared_with_must_run(lab: Lab) -> None:
    done = lab.sampan("start", lab.make("b", "lxc.namespace.share.net = nosuch"))
    assert done.returncode == 1 and "lxc.namespace.share.net = nosuch" in done.stderr and "running" in done.stderr


def test_clocks(lab: Lab) -> None:
    if not Path("/proc/self/timens_offsets").exists():
        pytest.skip("this kernel has no time namespaces")
    name = lab.make("t", "lxc.time.offset.boot = -1500ms", "lxc.time.offset.monotonic = 3h", "lxc.mount.auto = proc",
                    "lxc.init.cmd = /bin/sleep 1000")  # fmt: skip
    lab.ok("start", name)
    read = lab.attach(name, "cat /proc/self/timens_offsets; readlink /proc/self/ns/time").stdout.split()
    assert read[:6] == ["monotonic", "10800", "0", "boottime", "-2", "500000000"]
    assert read[6] == os.readlink(f"/proc/{lab.state(name)['pid']}/ns/time") != os.readlink("/proc/self/ns/time")
    assert lab.attach(name, "readlink /proc/self/ns/time", "-s", "MOUNT|PID").stdout.split() != read[6:]
    lab.ok("stop", "-k", name)


def test_attach_with_proc_and_sys_of_what_it_enters(lab: Lab) -> None:
    name = lab.make("r", "lxc.net.0.type = empty", "lxc.init.cmd = /bin/sleep 1000")
    lab.ok("start", name)
    options = ("-s", "NETWORK|PID", "-R")
    seen = lab.attach(name, "ls -d /proc/[0-9]* | wc -l; ls /sys/class/net; cat /etc/hostname", *options).stdout
    assert int(seen.split()[0]) < 8 and seen.split()[1] == "lo", seen
    assert len(os.listdir("/proc")) > 50
    lab.ok("stop", "-k", name)
