"""Devices by name: numbers at the start, nodes in /dev, a device that comes and goes."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_inject import Injector
from runtime_lab import Lab, need_own_root, wait_for

pytestmark = pytest.mark.both_ways

DENY = "lxc.cgroup.devices.deny = a"
LOOP_CTL_ADD, LOOP_CTL_REMOVE = 0x4C80, 0x4C81


def allow(value: str) -> str:
    return f"lxc.cgroup.devices.allow = {value}"


def number(path: str | Path) -> str:
    found = os.stat(path)
    kind = "b" if stat.S_ISBLK(found.st_mode) else "c"
    return f"{kind} {os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def rules(lab: Lab, name: str) -> list[str]:
    return sorted(lab.ok("cgroup", name, "devices.list").splitlines())


def inside(lab: Lab, name: str, path: str) -> str:
    """Type, number, mode and owner of a node in the container, "" when there is none."""
    return lab.attach(name, f"test -e {path} && stat -c '%F %t:%T %a %u %g' {path}").stdout.strip()


class Loop:
    """A loop device of its own, which the kernel makes and removes like one that is plugged in."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.path = Path(f"/dev/loop{index}")

    def _control(self, command: int) -> None:
        with Path("/dev/loop-control").open("rb") as control:
            fcntl.ioctl(control, command, self.index)

    def plug(self) -> None:
        self._control(LOOP_CTL_ADD)
        wait_for(self.path.exists)

    def unplug(self) -> None:
        self._control(LOOP_CTL_REMOVE)
        wait_for(lambda: not self.path.exists())


@pytest.fixture
def loop() -> Iterator[Loop]:
    need_own_root()
    if not Path("/dev/loop-control").exists():
        pytest.skip("needs /dev/loop-control")
    device = Loop(20000 + os.getpid() % 100000)
    yield device
    if device.path.exists():
        device.unplug()


def test_names_become_the_numbers_of_this_kernel(any_lab: Lab) -> None:
    name = any_lab.make("names", DENY, allow("/dev/null rw"), allow("/dev/fuse r"), allow("char-pts rw"))
    any_lab.ok("start", name)
    got = rules(any_lab, name)
    assert "c 1:3 rw" in got and f"{number('/dev/fuse')} r" in got and "c 136:* rw" in got
    assert any_lab.attach(name, "head -c 0 </dev/null").returncode == 0
    any_lab.ok("stop", "-k", name)


def test_classes_patterns_and_drivers(lab: Lab) -> None:
    blocks = {f"{number(path)} r" for path in Path("/dev").glob("loop[0-9]")}
    cases = {
        "/dev/loop[0-9] r": blocks,
        "class:mem r": {f"c {(d / 'dev').read_text().strip()} r" for d in Path("/sys/class/mem").iterdir()},
    }
    for label, (value, want) in enumerate(cases.items()):
        name = lab.make(f"kind{label}", DENY, allow(value))
        lab.ok("start", name)
        assert set(rules(lab, name)) == want and want, value
        lab.ok("stop", "-k", name)
    name = lab.make("driver", DENY, allow("block-loop r"))
    lab.ok("start", name)
    assert blocks <= set(rules(lab, name)) and all(rule.startswith("b 7:") for rule in rules(lab, name))
    lab.ok("stop", "-k", name)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("/dev/nosuch0 rw", "this kernel has no such device"),
        ("/dev/loop987654 r", "loop0"),
        ("char-nosuch rw", "mem"),
        ("class:nosuch r", "misc"),
        ("char-tty rw", "others share its major number"),
        ("char-misc rw", "name the nodes"),
        ("char-mem rw", "name the nodes"),
    ],
)
def test_what_the_board_has_not_is_refused_with_what_it_has(lab: Lab, value: str, says: str) -> None:
    name = lab.make("absent", DENY, allow(value))
    for verb in ("start", "execute"):
        refused = lab.sampan(verb, name, *(["--", "/bin/true"] if verb == "execute" else []))
        assert refused.returncode in (1, 125) and value in refused.stderr and says in refused.stderr, refused.stderr
        assert f"{name}/config:" in refused.stderr
    assert lab.left_behind() == []


def test_grammar_is_refused_before_a_start(lab: Lab) -> None:
    name = lab.make("grammar", DENY, allow("/dev/../etc/x rw"), allow("/dev/rtc0 rwx"), allow("profile:rtc"))
    refused = lab.sampan("config", "check", str(lab.lxc / name / "config"))
    assert refused.returncode == 1 and refused.stderr.count("devices.allow") >= 3
    assert "sampan devices generate" in refused.stderr


def test_a_number_that_is_another_device_now_is_refused(any_lab: Lab) -> None:
    fuse, expect = number("/dev/fuse"), "sampan.devices.expect = "
    name = any_lab.make("drift", DENY, allow(f"{fuse} rw"), f"{expect}{fuse} rtc0", f"{expect}c 136:* pts")
    refused = any_lab.sampan("start", name)
    assert refused.returncode == 1
    assert f"{fuse} was rtc0 when the list was made, and is fuse on this kernel" in refused.stderr
    assert "this kernel has no rtc0" in refused.stderr
    config = any_lab.lxc / name / "config"
    config.write_text(config.read_text().replace(f"{fuse} rtc0", f"{fuse} fuse"))
    any_lab.ok("start", name)
    any_lab.ok("stop", "-k", name)
    config.write_text(config.read_text().replace(f"{fuse} fuse", "c 136:* rtc"))
    refused = any_lab.sampan("start", name)
    assert refused.returncode == 1 and "c 136:* was rtc when the list was made, and is pts" in refused.stderr
    config.write_text(config.read_text().replace("c 136:* rtc", "c 77:0 null"))
    refused = any_lab.sampan("start", name)
    assert "is nothing on this kernel" in refused.stderr and "/dev/null is 1:3 here" in refused.stderr


@pytest.mark.parametrize("app", [False, True])
def test_dev_has_the_nodes_of_the_list(lab: Lab, app: bool) -> None:
    fuse, hosts = os.stat("/dev/fuse"), os.stat("/dev/loop0")
    name = lab.make("nodes", DENY, allow("c 1:* rwm"), allow(f"{number('/dev/fuse')} rw"), allow("/dev/loop0 r"),
                    allow("c 5:1 rw"), allow("c 77:0 rw"), allow("c 1:11 m"))  # fmt: skip
    script = "stat -c '%n %F %t:%T %a %u %g' /dev/fuse /dev/loop0; ls /dev; : </dev/fuse && echo opened"
    if app:
        out = lab.ok("execute", name, "--", "/bin/sh", "-c", script)
    else:
        lab.ok("start", name)
        out = lab.attach(name, script).stdout
        lab.ok("stop", "-k", name)
    lines = out.splitlines()
    minor, mode = os.minor(fuse.st_rdev), stat.S_IMODE(fuse.st_mode)
    assert lines[0] == f"/dev/fuse character special file a:{minor:x} {mode:o} {fuse.st_uid} {fuse.st_gid}"
    assert (
        lines[1] == f"/dev/loop0 block special file 7:0 {stat.S_IMODE(hosts.st_mode):o} {hosts.st_uid} {hosts.st_gid}"
    )
    assert "kmsg" not in lines and "mem" not in lines, "a wildcard names no device, and m alone opens none"
    assert lines[-1] == "opened"


def test_dev_that_is_not_ours_gets_no_nodes(lab: Lab) -> None:
    name = lab.make("noauto", DENY, allow("/dev/fuse rw"), "lxc.autodev = 0", "lxc.console.path = none")
    out = lab.ok("execute", name, "--", "/bin/ls", "/dev")
    assert "fuse" not in out
    name = lab.make("mounted", DENY, allow("/dev/fuse rw"), "lxc.mount.entry = tmpfs dev tmpfs defaults 0 0")
    assert "fuse" not in lab.ok("execute", name, "--", "/bin/ls", "/dev")
    (lab.path / "mine").write_text("mine")
    entry = f"lxc.mount.entry = {lab.path}/mine dev/fuse none bind,create=file 0 0"
    name = lab.make("entry", DENY, allow("/dev/fuse rw"), entry)
    assert lab.ok("execute", name, "--", "/bin/cat", "/dev/fuse") == "mine"


def test_a_device_is_plugged_in_and_pulled_out(any_lab: Lab, loop: Loop) -> None:
    name = any_lab.make("hotplug", DENY, allow("c 1:3 rw"), allow(f"{loop.path} rw optional"))
    any_lab.ok("start", name)
    assert rules(any_lab, name) == ["c 1:3 rw"] and not inside(any_lab, name, str(loop.path))
    for _ in range(2):
        loop.plug()
        rule = f"{number(loop.path)} rw"
        wait_for(lambda: inside(any_lab, name, str(loop.path)) != "")
        assert rules(any_lab, name) == [rule, "c 1:3 rw"]
        assert any_lab.attach(name, f": <{loop.path}").returncode == 0, "empty, but it opens"
        loop.unplug()
        wait_for(lambda: not inside(any_lab, name, str(loop.path)))
        assert rules(any_lab, name) == ["c 1:3 rw"]
        any_lab.attach(name, f"mknod /tmp/late b {rule.split()[1].replace(':', ' ')}")
        assert any_lab.attach(name, ": </tmp/late").returncode != 0, "what is pulled out is withdrawn"
    any_lab.ok("stop", "-k", name)


def test_a_node_that_takes_its_time_misses_nothing(lab: Lab, loop: Loop, injector: Injector) -> None:
    """While one process makes a node the device goes: the rule at once, the node as soon as that is done."""
    name = lab.make("slow", DENY, allow("c 1:3 rw"), allow(f"{loop.path} rw optional"))
    later = 3  # the supervisor is 0, PID 1 is 1, the payload 2
    delay = ["delay", later, injector.number("mknodat"), 3000]
    process = injector.popen(lab, delay, "execute", name, "--", "/bin/sleep", "1000", stdin=subprocess.DEVNULL)
    wait_for(lambda: lab.state(name)["state"] == "RUNNING")
    report = lab.path / "report"
    loop.plug()
    rule = f"{number(loop.path)} rw"
    wait_for(lambda: report.read_text() != "")
    assert rules(lab, name) == [rule, "c 1:3 rw"] and not inside(lab, name, str(loop.path))
    loop.unplug()
    wait_for(lambda: rules(lab, name) == ["c 1:3 rw"])
    assert not inside(lab, name, str(loop.path)), "it is being made still"
    pid = lab.state(name)["supervisor"]
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_for(lambda: len(children.read_text().split()) == 1)  # who makes it is done
    wait_for(lambda: not inside(lab, name, str(loop.path)))
    lab.ok("stop", "-k", name)
    assert process.wait(20) == 137


def test_plugged_in_while_the_supervisor_is_stopped(lab: Lab, loop: Loop) -> None:
    """Events wait, or are lost when there are too many: the kernel's devices count, not what was told."""
    name = lab.make("late", DENY, allow(f"/dev/loop{loop.index}* rw optional"))
    lab.ok("start", name)
    supervisor = lab.state(name)["supervisor"]
    os.kill(supervisor, 19)
    try:
        loop.plug()
        for _ in range(700):  # more than its socket holds
            Path("/sys/class/mem/null/uevent").write_text("change\n")
    finally:
        os.kill(supervisor, 18)
    wait_for(lambda: inside(lab, name, str(loop.path)) != "")
    assert rules(lab, name) == [f"{number(loop.path)} rw"]
    lab.ok("stop", "-k", name)


def test_without_names_there_is_no_socket_for_events(lab: Lab) -> None:
    for label, line, count in (("plain", allow("c 1:3 rw"), 0), ("named", allow("/dev/null rw"), 1)):
        name = lab.make(label, DENY, line)
        lab.ok("start", name)
        pid = lab.state(name)["supervisor"]
        netlink = {line.split()[9] for line in Path(f"/proc/{pid}/net/netlink").read_text().splitlines()[1:]}
        links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        assert len([link for link in links if link[8:-1] in netlink]) == count
        lab.ok("stop", "-k", name)


def test_device_add_and_del(any_lab: Lab, loop: Loop) -> None:
    name = any_lab.make("adddel", DENY, allow("c 1:3 rw"))
    any_lab.ok("start", name)
    loop.plug()
    rule = f"{number(loop.path)} rw"
    any_lab.ok("device", "-n", name, "add", str(loop.path))
    any_lab.ok("device", "-n", name, "add", str(loop.path), "/dev/my/disk")
    assert rules(any_lab, name) == [rule, "c 1:3 rw"]
    for path in (str(loop.path), "/dev/my/disk"):
        assert inside(any_lab, name, path).startswith("block special file 7:")
        assert any_lab.attach(name, f": <{path}").returncode == 0
    any_lab.ok("device", name, "del", str(loop.path), "/dev/my/disk")
    assert rules(any_lab, name) == ["c 1:3 rw"] and not inside(any_lab, name, "/dev/my/disk")
    assert any_lab.attach(name, f": <{loop.path}").returncode != 0
    loop.unplug()
    any_lab.ok("device", name, "del", str(loop.path))
    assert not inside(any_lab, name, str(loop.path)), "a device that is gone leaves its node until it is taken"
    any_lab.ok("stop", "-k", name)


def test_device_add_refuses(lab: Lab) -> None:
    name = lab.make("refuse", DENY, allow("c 10:* rw"))
    lab.ok("start", name)
    before = rules(lab, name)
    (lab.root(name) / "tmp/taken").write_text("x")
    for words, says in (
        (("add", "/dev/nosuch"), "find /dev/nosuch: No such file"),
        (("add", "/etc/passwd"), "is no device"),
        (("add", "fuse"), "absolute path"),
        (("take", "/dev/fuse"), "add or del"),
        (("add",), "usage"),
        (("add", "/dev/loop0", "/tmp/taken"), "File exists"),
        (("del", "/dev/fuse"), "a wider rule"),
    ):
        refused = lab.sampan("device", name, *words)
        assert refused.returncode == 1 and says in refused.stderr, (words, refused.stderr)
    assert rules(lab, name) == before, "nothing of it was kept"
    lab.ok("stop", "-k", name)
    assert lab.sampan("device", name, "add", "/dev/fuse").returncode == 1


def test_device_add_does_not_leave_the_container(lab: Lab, tmp_path: Path) -> None:
    """Its paths are the container's: a link in it that points out of it leads to a place inside."""
    name = lab.make("links", DENY)
    (lab.root(name) / "out").symlink_to(tmp_path)
    (lab.root(name) / "up").symlink_to("../../../../../../..")
    lab.ok("start", name)
    lab.ok("device", name, "add", "/dev/fuse", "/up/tmp/fuse")
    assert stat.S_ISCHR(os.lstat(lab.root(name) / "tmp/fuse").st_mode)
    lab.sampan("device", name, "add", "/dev/fuse", "/out/fuse")
    assert list(tmp_path.iterdir()) == []
    lab.ok("stop", "-k", name)


def test_it_is_lxc_device_too(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "lxc-device").symlink_to(lab.binary)
    name = lab.make("link", DENY)
    lab.ok("start", name)
    words = [tmp_path / "lxc-device", "-P", lab.lxc, "-n", name, "add", "/dev/fuse", "/dev/f"]
    subprocess.run(words, env=lab.environment(), check=True)
    assert inside(lab, name, "/dev/f")
    lab.ok("stop", "-k", name)
