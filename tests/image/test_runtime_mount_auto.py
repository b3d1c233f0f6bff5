"""lxc.mount.auto: what stands where, and what of it can be written, on each cgroup layout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from mounts import tmpfs
from runtime_lab import Lab

pytestmark = pytest.mark.both_ways

PLACE = "/sys/fs/cgroup"


def table(lab: Lab, *lines: str, keep: str = "") -> dict[str, tuple[str, set[str]]]:
    """Mount point -> (type, options) inside of a container with these lines."""
    name = lab.make("auto", "lxc.mount.auto = proc sys:ro", *lines, *([f"lxc.cap.keep = {keep}"] if keep else []))
    done = lab.sampan("execute", name, "--", "/bin/cat", "/proc/mounts")
    assert done.returncode == 0, done.stderr
    lab.ok("destroy", name)
    rows = (line.split() for line in done.stdout.splitlines())
    return {place: (kind, set(options.split(","))) for _, place, kind, options, *_ in rows}


def own_ns(lab: Lab) -> bool:
    return "cgroup_ns" not in lab.off


def cgroups(rows: dict[str, tuple[str, set[str]]]) -> dict[str, set[str]]:
    return {place: options for place, (kind, options) in rows.items() if kind.startswith("cgroup")}


@pytest.mark.parametrize(
    ("value", "writable"),
    [
        ("cgroup:ro:force", False),
        ("cgroup:mixed:force", True),
        ("cgroup:rw:force", True),
        ("cgroup-full:mixed:force", True),
    ],
)
def test_only_groups_of_the_containers_own_can_be_written(any_lab: Lab, value: str, writable: bool) -> None:
    rows = cgroups(table(any_lab, f"lxc.mount.auto = {value}", "lxc.cgroup.devices.deny = a"))
    assert rows
    own = {place for place in rows if own_ns(any_lab) or f"/sampan/{any_lab.prefix}" in place}
    assert own, rows
    assert {("rw" in rows[place]) for place in own} == {writable}
    assert all("ro" in options for place, options in rows.items() if place not in own)
    assert all({"nosuid", "nodev", "noexec"} <= options for options in rows.values())


def test_what_is_written_stays_in_the_container(any_lab: Lab) -> None:
    """What is seen begins at its own group, or can be written only there; no release_agent anywhere."""
    name = any_lab.make("made", "lxc.mount.auto = proc sys:ro cgroup:rw:force")
    script = f"""
        for d in $(grep -o ' {PLACE}[^ ]* cgroup' /proc/mounts); do mkdir $d/{name} 2>/dev/null; done
        ls {PLACE}/release_agent {PLACE}/*/release_agent 2>/dev/null; mkdir {PLACE}/../../{name} 2>/dev/null; echo end
    """
    done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
    assert done.stdout == "end\n", done.stderr
    assert not [path for path in Path("/sys/fs/cgroup").glob("*/*") if path.name == name]


def test_without_a_namespace_the_hosts_tree_is_never_writable(lab: Lab) -> None:
    lab.env["SAMPAN_DISABLE"] = "cgroup_ns"
    name = lab.make("full", "lxc.mount.auto = sys:ro cgroup-full:rw")
    done = lab.sampan("execute", name, "--", "/bin/true")
    assert done.returncode == 125 and "cgroup-full:mixed" in done.stderr
    rows = cgroups(table(lab, "lxc.mount.auto = cgroup-full:ro"))
    assert len(rows) > 3 and all("ro" in options for options in rows.values())


def test_an_init_that_may_mount_does_so_itself(any_lab: Lab) -> None:
    """LXC's rule: with a cgroup namespace and CAP_SYS_ADMIN, v1 groups are mounted only when forced."""
    lines = ["lxc.mount.auto = cgroup", "lxc.cgroup.devices.deny = a"]
    rows = cgroups(table(any_lab, *lines))
    pure_v2 = any_lab.env.get("SAMPAN_CGROUP_ROOT", "").endswith("unified")
    assert bool(rows) == (pure_v2 or not own_ns(any_lab))
    assert cgroups(table(any_lab, *lines, keep="none")) != {}


@pytest.mark.parametrize("sys", ["ro", "mixed", "rw"])
@pytest.mark.parametrize("proc", ["mixed", "rw"])
def test_proc_and_sys(any_lab: Lab, proc: str, sys: str) -> None:
    rows = table(any_lab, "lxc.mount.auto =", f"lxc.mount.auto = proc:{proc} sys:{sys}")
    assert rows["/proc"][0] == "proc" and "rw" in rows["/proc"][1]
    inside = {"/proc/sys": "ro", "/proc/sys/net": "rw"}
    if Path("/proc/sysrq-trigger").exists():
        inside["/proc/sysrq-trigger"] = "ro"
    for place, mode in inside.items():
        assert (place in rows) == (proc == "mixed")
        assert proc == "rw" or mode in rows[place][1]
    assert ("rw" in rows["/sys"][1]) == (sys == "rw")
    assert ("/sys/devices/virtual/net" in rows) == (sys == "mixed")


def test_mounts_made_on_the_host_later_appear_inside(any_lab: Lab) -> None:
    shared = any_lab.path / "shared"
    with tmpfs(shared):
        subprocess.run(["mount", "--make-shared", shared], check=True)
        name = any_lab.make("shared", f"lxc.mount.auto = proc shmounts:{shared}:/tmp/later")
        any_lab.ok("start", name)
        (shared / "new").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", shared / "new"], check=True)
        assert " /tmp/later/new tmpfs " in any_lab.attach(name, "cat /proc/mounts").stdout
        made = any_lab.attach(name, "mkdir /tmp/later/mine && mount -t tmpfs none /tmp/later/mine")
        assert made.returncode == 0, made.stderr
        assert str(shared / "mine") not in Path("/proc/mounts").read_text(), "it goes one way only"
        any_lab.ok("stop", "-k", name)
