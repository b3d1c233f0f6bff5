"""Each system call of a start fails in turn: it says so and leaves nothing, and the next start works.

By default a sample; SAMPAN_FAULTS=1 runs them all (about 200 for each configuration and cgroup layout).
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_inject import Call, Done, Injector
from runtime_lab import CGROUPS, Lab, need_host, run_lab, wait_for

ALL = os.environ.get("SAMPAN_FAULTS") == "1"
STEP = 1 if ALL else 13  #: of the calls, every which one fails by default

#: Calls the kernel cannot fail with valid arguments, and libc's own at its start.
CANNOT_FAIL = {"arch_prctl", "set_tid_address", "getpid", "umask", "wait4", "rt_sigprocmask", "rt_sigaction",
               "exit_group", "munmap", "rt_sigtimedwait"}  # fmt: skip

#: How the runtime gets to its read-only clone without an exec, and the clone (descriptor 3) into the new
#: namespace; else it executes the clone, and closes it.
GUARDS = ("mmap(at)", "prctl(35)", "move_mount(3)")

#: What a start may go on without: descriptors closed late, another way to the same end, a question whose
#: answer no makes it stricter, names, clean-up that the next start repeats, memory given back. Nothing that
#: isolates is here.
MAY_FAIL = {"access", "close", "close_range", "execveat", "open_tree", "mount_setattr", "statfs", "fstatfs", "stat",
            "faccessat", "ioctl", "flock", "mkdir", "mkdirat", "unlinkat", "rmdir", "openat", "openat2", "open",
            "read", "readlinkat", "pread64", "dup2", "prctl(15)", "setsid", "poll", "clone", "socket", "madvise",
            *GUARDS}  # fmt: skip

DEVICES = ("lxc.cgroup.devices.deny = a", "lxc.cgroup.devices.allow = /dev/null rw")
CONFIGS = {
    "plain": (*DEVICES, "lxc.tty.max = 1", "lxc.uts.name = x", "lxc.cap.drop = sys_time", "lxc.net.0.type = empty",
              "lxc.mount.auto = proc sys cgroup", "lxc.mount.entry = tmpfs tmp tmpfs size=1m 0 0"),
    "net": ("lxc.net.0.type = veth", "lxc.net.0.flags = up", "lxc.net.0.ipv4.address = 10.93.7.2/24"),
    "hooks": ("lxc.hook.pre-start = /bin/true", "lxc.hook.start-host = /bin/true", "lxc.hook.post-stop = /bin/true"),
    "overlay": ("lxc.rootfs.path = overlay:@:tmpfs",),
}  # fmt: skip
#: Besides, what a kernel may lack; there is a fallback, or nothing to keep apart.
MAY_LACK = MAY_FAIL | {"clone3", "keyctl", "signalfd4"}

#: What fails in the place of a call that is switched off: our own walk, a list of descriptors.
INSTEAD = {"openat2": {"fstat"}, "close_range": {"fcntl", "getdents64"}}

LAYOUTS = {"host": None, "v1": CGROUPS / "devices", "v2": CGROUPS / "unified"}


def layout_lab(layout: str, binary: Path, factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need_host()
    root = LAYOUTS[layout]
    if root and not root.is_dir():
        pytest.skip(f"needs {root}: this host's cgroups are not hybrid")
    yield from run_lab(binary, factory.mktemp("l"), {"SAMPAN_CGROUP_ROOT": str(root)} if root else {})


def interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def make(lab: Lab, config: str) -> str:
    name = lab.make("fault")
    lines = (line.replace("@", str(lab.root(name))) for line in CONFIGS[config])
    file = lab.lxc / name / "config"
    kept = [line for line in file.read_text().splitlines() if config != "overlay" or "rootfs.path" not in line]
    file.write_text("\n".join([*kept, *lines, ""]))
    return name


def judge(lab: Lab, name: str, call: Call, done: Done, may_fail: set[str]) -> list[str]:
    """What is wrong with how a start ended that lost `call`."""
    wrong = []
    if done.code == 0 and call.name not in may_fail and not call.payload:
        wrong.append("it goes on without")
    # 126: what could not be executed is the command's business; the payload's end comes after `payload`.
    if done.code not in (0, 125) and not (done.code == 126 and call.name == "execve"):
        wrong.append(f"exit code {done.code}")
    before = "sampan: protect the runtime's own binary"  # when no name has been read yet
    if done.code and f"sampan: {name}: " not in done.stderr and not done.stderr.startswith(before):
        wrong.append(f"no message: {done.stderr!r}")
    if done.stderr.rstrip().endswith(f"{name}:"):
        wrong.append("the message names no step")
    if done.code and lab.left_behind():
        wrong.append(f"left behind: {lab.left_behind()}")
    again = lab.sampan("execute", name, "--", "/bin/true")
    if again.returncode or lab.left_behind():
        wrong.append(f"the next start: {again.stderr} {lab.left_behind()}")
    return [f"{call}: {what}" for what in wrong]


def sweep(lab: Lab, injector: Injector, config: str, number: int) -> None:
    name = make(lab, config)
    before = interfaces()
    listed = injector.run(lab, ["list"], "execute", name, "--", "/bin/true")
    assert listed.code == 0, listed.stderr
    calls = [call for call in listed.calls if call.name not in CANNOT_FAIL]
    assert len(calls) > 100 and {call.proc for call in calls} >= {0, 1, 2}
    may_fail = MAY_LACK if number == errno.ENOSYS else MAY_FAIL
    may_fail = may_fail.union(*(INSTEAD.get(switch, ()) for switch in lab.off))
    wrong: list[str] = []
    for call in calls[number % STEP :: STEP]:
        done = injector.run(lab, ["fail", call.proc, call.seq, number], "execute", name, "--", "/bin/true")
        # Processes run at the same time: the call that comes may be another one, or none.
        for hit in done.calls:
            if hit.name not in CANNOT_FAIL:
                wrong += judge(lab, name, hit, done, may_fail)
    assert not wrong, "\n".join(wrong)
    attached = subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout
    assert str(lab.path) not in attached
    wait_for(lambda: interfaces() <= before)  # the kernel takes a namespace's away a moment later


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("config", CONFIGS)
def test_each_failing_call_of_a_start(
    config: str, layout: str, runtime_binary: Path, injector: Injector, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if config != "plain" and layout != "v2" and not ALL:
        pytest.skip("a sample runs by default; SAMPAN_FAULTS=1 runs it all")
    for lab in layout_lab(layout, runtime_binary, tmp_path_factory):
        sweep(lab, injector, config, errno.EIO)


def test_a_kernel_that_lacks_a_call_is_no_hole(lab: Lab, injector: Injector) -> None:
    """ENOSYS for each call: a fallback, or an end with a message; never a container without what was asked for."""
    sweep(lab, injector, "plain", errno.ENOSYS)
