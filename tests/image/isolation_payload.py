"""Checks of isolation rules about processes, identities, state and control groups; isolation_rules.py has the table."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import subprocess
from pathlib import Path

from isolation_files import shell
from runtime_lab import CGROUPS, RUNTIME, Lab, wait_for
from runtime_tools import compiler

from sampan.core.run import run

JOIN_SESSION_KEYRING, SETPERM = 1, 5
POSSESSOR_ONLY = 0x3F000000
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
SYS_ADD_KEY = {"x86_64": 248, "aarch64": 217}
CAPS = ("CapInh", "CapAmb")


def status(lab: Lab, *lines: str, caller: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """/proc/self/status of a payload and of what is attached to one; `caller` runs the runtime."""
    lines = ("lxc.mount.auto = proc", *lines)
    name = lab.make("status", *lines)
    lab.ok("start", name)
    attach = lab.command("attach", name, "--", "/bin/cat", "/proc/self/status")
    execute = lab.command("execute", lab.make("payload", *lines), "--", "/bin/cat", "/proc/self/status")
    texts = []
    for command in (execute, attach):
        done = subprocess.run(
            [*caller, *command], env=lab.environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout)
    lab.ok("stop", "-k", name)
    return [dict(line.split(":", 1) for line in text.splitlines()) for text in texts]


# -- descriptors, processes, terminals


def own_binary_is_readonly(lab: Lab) -> None:
    name = lab.make("exe")
    lab.ok("execute", "-d", name, "--", "/bin/sleep", "1000")
    exe = Path(f"/proc/{lab.state(name)['pid']}/exe")
    sealed = "memfd:" in os.readlink(exe)
    readonly = bool(os.statvfs(exe).f_flag & os.ST_RDONLY)
    lab.ok("stop", "-k", name)
    assert sealed or readonly


def own_binary_cannot_be_unlocked(lab: Lab) -> None:
    """A start hook, which runs inside first, and the payload: no file that PID 1 maps can be written."""
    name = lab.make("unlock", "lxc.hook.start = /bin/unlock")
    out = lab.root(name) / "bin/unlock"
    run([compiler(), "-O1", "-static", "-D_GNU_SOURCE", RUNTIME / "tests/unlock.c", "-o", out])
    lab.ok("execute", name, "--", "/bin/unlock")
    said = (lab.root(name) / "said").read_text().splitlines()
    assert [line.split()[0] for line in said] == ["tried", "tried"], said
    assert all(int(line.split()[1]) >= 2 for line in said), said  # the link, and the program's own pages
    entries = ["lxc.mount.entry = / host none rbind,create=dir", "lxc.mount.entry = /proc hosts none rbind,create=dir"]
    bound, alone = lab.make("bound", *entries), lab.make("alone")
    (lab.lxc / alone / "config").write_text(f"lxc.uts.name = {alone}\n")  # the host's root
    for name in (bound, alone):
        mounts = shell(lab, name, "cat /proc/self/mountinfo").stdout
        assert " /proc " in mounts and f"/{lab.binary.name} " not in mounts, mounts


def nobody_looks_into_pid_1(lab: Lab) -> None:
    """The runtime as PID 1: a root without CAP_SYS_PTRACE must not see its descriptors."""
    name = lab.make("peek", "lxc.cap.drop = sys_ptrace")
    done = shell(lab, name, "ls -l /proc/1/fd /proc/1/cwd /proc/1/exe")
    assert done.stderr.count("ermission denied") >= 5, done.stdout + done.stderr
    assert "->" not in done.stdout


def attach_hides_before_it_enters(lab: Lab) -> None:
    """Not dumpable before the first setns(2): after it the container can see the process."""
    name = lab.make("enter")
    lab.ok("start", name)
    trace = lab.path / "trace"
    command = [
        "strace",
        "-f",
        "-o",
        str(trace),
        "-e",
        "trace=prctl,setns",
        *lab.command("attach", name, "--", "/bin/true"),
    ]
    subprocess.run(command, env=lab.environment(), check=True, capture_output=True)
    lab.ok("stop", "-k", name)
    calls = trace.read_text().splitlines()
    first = next(i for i, call in enumerate(calls) if "setns(" in call)
    assert any("PR_SET_DUMPABLE, SUID_DUMP_DISABLE" in call for call in calls[:first]), calls


def callers_descriptors_stay_outside(lab: Lab) -> None:
    name = lab.make("fds")
    lab.ok("start", name)
    folder = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    os.dup2(folder, 57, inheritable=True)
    try:
        for verb, label in (("execute", lab.make("fds2")), ("attach", name)):
            script = "ls /proc/self/fd /proc/1/fd; cat /proc/self/fd/57/passwd"  # 3: of ls itself
            done = subprocess.run(
                lab.command(verb, label, "--", "/bin/sh", "-c", script),
                env=lab.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=[57],
            )  # fmt: skip
            seen = {word for word in done.stdout.split() if word.isdigit()}
            assert "root:" not in done.stdout and seen <= {"0", "1", "2", "3"}, done.stdout
    finally:
        os.close(57)
        os.close(folder)
        lab.ok("stop", "-k", name)


def pid_1_holds_nothing(lab: Lab) -> None:
    """The command runs before PID 1 is back from its fork: what is open there by then could be opened by it."""
    name = lab.make("first")
    for _ in range(20):
        done = shell(lab, name, "echo /proc/1/fd/*")
        assert {Path(fd).name for fd in done.stdout.split()} <= {"0", "1", "2", "3"}, done.stdout


def working_folder_is_inside(lab: Lab) -> None:
    """/proc/self/fd/N of the runtime itself is a folder of the host (runc CVE-2024-21626)."""
    refused = 0
    for number in range(3, 12):
        name = lab.make(f"cwd{number}", f"lxc.init.cwd = /proc/self/fd/{number}", "lxc.mount.auto = proc")
        done = shell(lab, name, "pwd; ls ../..")
        assert "boot" not in done.stdout.split() and "unreachable" not in done.stdout, done.stdout
        refused += "outside of the container" in done.stderr
    assert refused > 0, "none of them was a folder: the test has lost its subject"


def callers_terminal_stays_outside(lab: Lab) -> None:
    name = lab.make("tty")
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            lab.command("execute", name, "--", "/bin/sh", "-c", "stat -L -c 'rdev %t:%T' /proc/self/fd/0 >/seen"),
            env=lab.environment(), stdin=slave, stdout=slave, stderr=slave, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        inside = (lab.root(name) / "seen").read_text()
        pts = os.stat(os.ttyname(slave))
        assert (lab.root(name) / "seen").exists()
        same_devpts = os.fstat(slave).st_dev == pts.st_dev
        assert same_devpts
        script = "stat -L -c '%d:%i' /proc/self/fd/0 >/seen"
        subprocess.run(
            lab.command("execute", name, "--", "/bin/sh", "-c", script),
            env=lab.environment(), stdin=slave, stdout=slave, stderr=slave, timeout=60, check=True,
        )  # fmt: skip
        seen = (lab.root(name) / "seen").read_text().strip()
        assert inside.startswith("rdev") and seen != f"{pts.st_dev}:{pts.st_ino}"
    finally:
        os.close(master)
        os.close(slave)


# -- who the payload is


def nothing_is_inheritable(lab: Lab) -> None:
    caller = ("setpriv", "--inh-caps", "+chown,+kill", "--ambient-caps", "+chown,+kill")
    for fields in status(lab, "lxc.cap.drop = sys_module", caller=caller):
        assert [int(fields[cap], 16) for cap in CAPS] == [0, 0], fields


def dropped_capabilities_stay_dropped(lab: Lab) -> None:
    for fields in status(lab, "lxc.cap.drop = sys_module mac_admin"):
        for cap in ("CapBnd", "CapPrm", "CapEff"):
            assert not int(fields[cap], 16) & (1 << 16 | 1 << 33), fields


def no_new_privs_holds(lab: Lab) -> None:
    for fields in status(lab, "lxc.no_new_privs = 1"):
        assert fields["NoNewPrivs"].strip() == "1"


def callers_groups_stay_outside(lab: Lab) -> None:
    for fields in status(lab, caller=("setpriv", "--groups", "27,44")):
        assert fields["Groups"].split() == []


def ids_are_plain_numbers(lab: Lab) -> None:
    name = lab.make("ids")
    lab.ok("start", name)
    for bad in ("", "0x0", "1x", "-1", "+1", " 1", "4294967296", "18446744073709551616", "1:", ":1", "root"):
        done = lab.sampan("attach", name, "-u", bad, "--", "/bin/true")
        assert done.returncode == 125 or done.returncode == 1, (bad, done)
    assert lab.sampan("attach", name, "-u", "7", "--", "/bin/id", "-u").stdout == "7\n"
    lab.ok("stop", "-k", name)


def names_are_plain_words(lab: Lab) -> None:
    for bad in ("../up", "a/b", ".", "..", "-x", "", "a" * 65):
        assert lab.sampan("create", "-n", bad).returncode != 0, bad
    assert list(lab.lxc.iterdir()) == [] and not (lab.path / "up").exists()


def callers_keys_stay_outside(lab: Lab) -> None:
    libc, machine = ctypes.CDLL(None, use_errno=True), os.uname().machine

    def with_a_secret() -> None:
        libc.syscall(SYS_KEYCTL[machine], JOIN_SESSION_KEYRING, b"sampan-test")
        key = libc.syscall(SYS_ADD_KEY[machine], b"user", b"sampan-secret", b"x", 1, -3)
        libc.syscall(SYS_KEYCTL[machine], SETPERM, key, POSSESSOR_ONLY)

    if not Path("/proc/keys").exists():
        return
    name = lab.make("keys", "lxc.mount.auto = proc:rw")
    lab.ok("start", name)
    try:
        for verb, label in (("execute", lab.make("keys2")), ("attach", name)):
            done = subprocess.run(
                lab.command(verb, label, "--", "/bin/cat", "/proc/keys"),
                env=lab.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                preexec_fn=with_a_secret,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert "sampan-secret" not in done.stdout
    finally:
        lab.ok("stop", "-k", name)


# -- state and control groups


def state_is_no_link(lab: Lab) -> None:
    name = lab.make("state")
    elsewhere = lab.path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    lab.run_dir.rmdir()
    lab.run_dir.symlink_to(elsewhere)
    try:
        done = lab.sampan("start", name)
        lab.sampan("stop", "-k", name)
        assert done.returncode == 1 and list(elsewhere.iterdir()) == []
    finally:
        lab.run_dir.unlink()
        lab.run_dir.mkdir(mode=0o700)


def state_is_private(lab: Lab) -> None:
    name = lab.make("open")
    lab.run_dir.chmod(0o755)
    done = lab.sampan("start", name)
    lab.sampan("stop", "-k", name)
    lab.run_dir.chmod(0o700)
    assert done.returncode == 1 and "0700" in done.stderr


def hosts_groups_are_readonly(lab: Lab) -> None:
    name = lab.make("groups", "lxc.mount.auto = proc sys:ro cgroup-full:mixed", "lxc.cgroup.devices.deny = a")
    done = shell(lab, name, "for d in /sys/fs/cgroup/*/; do mkdir $d/evil; done; ls /sys/fs/cgroup")
    made = list(CGROUPS.glob("*/evil")) + list(CGROUPS.glob("evil"))
    for path in made:
        with contextlib.suppress(OSError):
            path.rmdir()
    assert made == [] and "Read-only file system" in done.stderr, done.stderr


def group_namespace_begins_at_its_own(lab: Lab) -> None:
    name = lab.make("own", "lxc.cgroup.devices.deny = a")
    lines = shell(lab, name, "cat /proc/self/cgroup").stdout.splitlines()
    assert lines and not [line for line in lines if "sampan" in line]


def waits_until_gone(lab: Lab) -> None:
    """Nothing of a killed start stays: its child dies with the failed parent's undo."""
    name = lab.make("undo", "lxc.cgroup.devices.deny = a", "lxc.init.cwd = /nosuch")
    assert lab.sampan("start", name).returncode == 1
    wait_for(lambda: lab.left_behind() == [])
