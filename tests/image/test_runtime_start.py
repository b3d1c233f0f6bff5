"""Starting, entering, stopping: each on every cgroup layout this host has, and with old system calls alone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
from runtime_lab import CGROUPS, Lab, cgroup_leftovers, gone, make_root, wait_for

from sampan.core import paths

pytestmark = pytest.mark.both_ways

SEED = paths.ROOT / "configs/containers"


def seed(lab: Lab, label: str, file: str, root: bool = True) -> str:
    """A container from one of the shipped configurations, under a name of its own."""
    old = "app_bash" if file.startswith("app") else "sys_elinux"
    name = f"{lab.prefix}-{label}"
    text = (SEED / file).read_text().replace("/var/lib/lxc", str(lab.lxc)).replace(old, name)
    config = lab.path / file
    config.write_text(text)
    lab.names.append(name)
    lab.ok("create", name, "-f", config)
    if root:
        make_root(lab.root(name))
    return name


def test_app_container_from_the_old_configuration(any_lab: Lab) -> None:
    name = seed(any_lab, "app", "app_bash.config")
    script = "hostname; echo pid $$; readlink /proc/1/exe; ls /dev/pts; grep -c ' /dev ' /proc/mounts"
    done = any_lab.sampan("execute", "-n", name, "/bin/sh", "-c", script)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == name
    assert lines[1] == "pid 2"
    assert "ptmx" in lines
    assert lines[-1] == "1"


def test_app_container_on_the_host_root(lab: Lab) -> None:
    """The walk-through binds / on the rootfs; destroy must see that before it deletes anything."""
    name = seed(lab, "app", "app_bash.config", root=False)
    root = lab.root(name)
    subprocess.run(["mount", "--bind", "/", root], check=True)
    try:
        done = lab.sampan("execute", "-n", name, "/bin/sh", "-c", "hostname; test -d /proc/1 && echo proc")
        assert done.stdout.split() == [name, "proc"], done.stderr
        refused = lab.sampan("destroy", "-n", name)
        assert refused.returncode == 1
        assert str(root) in refused.stderr and "umount" in refused.stderr
        assert (root / "bin").exists()
    finally:
        subprocess.run(["umount", root], check=True)
    lab.ok("destroy", "-n", name)
    assert not (lab.lxc / name).exists()


def test_system_container_with_its_device_list(any_lab: Lab) -> None:
    name = seed(any_lab, "sys", "sys_elinux.fixed.config")
    any_lab.ok("start", "-n", name)
    assert any_lab.state(name)["state"] == "RUNNING"
    assert "RUNNING" in any_lab.ok("info", "-n", name)
    comm = Path(f"/proc/{any_lab.state(name)['pid']}/comm").read_text().strip()
    assert comm == "init"
    inside = any_lab.attach(name, "head -c 0 /dev/null && head -c 4 /dev/urandom | wc -c; hostname; ps | grep -c init")
    assert inside.stdout.split()[:2] == ["4", name], inside.stderr
    for node in ("/dev/kmsg", "/dev/mem"):
        if Path(node).exists():
            refused = any_lab.attach(name, f"head -c 1 {node}")
            assert "Operation not permitted" in refused.stderr
    made = any_lab.attach(name, "mknod /tmp/kmsg c 1 11")
    assert made.returncode != 0 and "Operation not permitted" in made.stderr
    any_lab.ok("stop", "-n", name)
    assert any_lab.state(name)["state"] == "STOPPED"


def test_a_node_made_beforehand_does_not_open(any_lab: Lab) -> None:
    """Its file and its mode allow it; only the device list does not."""
    name = any_lab.make("node", "lxc.cgroup.devices.deny = a", "lxc.cgroup.devices.allow = c 1:3 rw")
    os.mknod(any_lab.root(name) / "tmp/zero", 0o20666, os.makedev(1, 5))
    os.mknod(any_lab.root(name) / "tmp/null", 0o20666, os.makedev(1, 3))
    script = "head -c 1 /tmp/zero; head -c 1 /tmp/null && echo null ok; cat </dev/null && echo dev ok"
    done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
    assert "Operation not permitted" in done.stderr
    assert done.stdout.splitlines() == ["null ok", "dev ok"]


def test_the_malformed_line_is_named_with_what_was_meant(lab: Lab) -> None:
    done = lab.sampan("create", f"{lab.prefix}-bad", "-f", SEED / "sys_elinux.config")
    assert done.returncode == 1
    assert "sys_elinux.config:10" in done.stderr
    assert "proc /var/lib/lxc/sys_elinux/rootfs/proc proc nodev,noexec,nosuid 0 0" in done.stderr
    assert not (lab.lxc / f"{lab.prefix}-bad").exists()


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_exit_codes_pass_through(lab: Lab, script: str, code: int) -> None:
    name = lab.make("rc")
    assert lab.sampan("execute", name, "--", "/bin/sh", "-c", script).returncode == code


def test_exit_codes_of_what_cannot_run(lab: Lab) -> None:
    name = lab.make("rc")
    (lab.root(name) / "tmp/plain").write_text("no program")
    missing = lab.sampan("execute", name, "--", "/bin/nosuch")
    assert missing.returncode == 127 and "/bin/nosuch" in missing.stderr
    assert lab.sampan("execute", name, "--", "/tmp/plain").returncode == 126
    assert lab.sampan("execute", name).returncode == 125
    assert lab.sampan("execute", "nosuch", "--", "true").returncode == 125
    assert lab.sampan("start", "nosuch").returncode == 1


def test_quotes_keep_the_words_of_a_command_together(lab: Lab) -> None:
    name = lab.make("words", "lxc.execute.cmd = /bin/sh -c 'echo \"two  words\"; exit 7'")
    done = lab.sampan("execute", name)
    assert (done.returncode, done.stdout) == (7, "two  words\n"), done.stderr


def test_pid_one_of_an_app_waits_for_its_orphans(lab: Lab) -> None:
    name = lab.make("orphan")
    script = "(sleep 0.3; echo late) & echo first"
    done = lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
    assert done.stdout.split() == ["first", "late"]


def test_stop_reaches_an_app_with_sigterm(any_lab: Lab) -> None:
    name = any_lab.make("term")
    script = "trap 'echo got term; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    running = any_lab.popen("execute", name, "--", "/bin/sh", "-c", script, stdout=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stdout.readline() == b"up\n"
    wait_for(lambda: any_lab.state(name)["state"] == "RUNNING")
    any_lab.ok("stop", name)
    assert running.stdout.read() == b"got term\n"
    assert running.wait() == 9


def test_stop_kills_what_ignores_it(lab: Lab) -> None:
    name = lab.make("deaf")
    script = "trap '' TERM PWR; while :; do sleep 0.05; done"
    running = lab.popen("execute", name, "--", "/bin/sh", "-c", script)
    wait_for(lambda: lab.state(name)["state"] == "RUNNING")
    lab.ok("stop", "-t", "1", name)
    assert running.wait() == 137
    assert lab.sampan("stop", name).returncode == 2


def test_stop_kill_and_reboot(any_lab: Lab) -> None:
    name = any_lab.make("boot")
    any_lab.ok("start", name)
    first = any_lab.state(name)["pid"]
    children = Path(f"/proc/{first}/task/{first}/children")
    wait_for(lambda: children.read_text() != "")  # before that it ignores signals
    any_lab.ok("stop", "-r", name)
    wait_for(lambda: any_lab.state(name)["pid"] not in (first, None) and any_lab.state(name)["state"] == "RUNNING")
    any_lab.ok("stop", "-k", name)
    assert any_lab.state(name)["state"] == "STOPPED"


def test_a_killed_supervisor_leaves_a_container_that_can_be_stopped(any_lab: Lab) -> None:
    name = any_lab.make("orphaned")
    any_lab.ok("start", name)
    state = any_lab.state(name)
    os.kill(state["supervisor"], signal.SIGKILL)
    wait_for(lambda: any_lab.state(name)["supervisor"] is None)
    assert any_lab.state(name)["state"] == "RUNNING"
    again = any_lab.sampan("start", name)
    assert again.returncode == 1 and "supervisor is gone" in again.stderr
    assert any_lab.attach(name, "echo inside").stdout == "inside\n"
    any_lab.ok("stop", "-k", name)
    assert gone(state["pid"])


def test_a_container_that_died_with_its_supervisor_starts_again(lab: Lab) -> None:
    name = lab.make("dead")
    lab.ok("start", name)
    state = lab.state(name)
    os.kill(state["supervisor"], signal.SIGKILL)
    os.kill(state["pid"], signal.SIGKILL)
    wait_for(lambda: lab.state(name)["state"] == "STOPPED")
    lab.ok("start", name)
    lab.ok("stop", "-k", name)


def test_of_many_starts_exactly_one_wins(lab: Lab) -> None:
    name = lab.make("race")
    starts = [lab.popen("start", name, stderr=subprocess.PIPE) for _ in range(8)]
    said = [start.communicate()[1].decode() for start in starts]
    codes = [start.returncode for start in starts]
    assert sorted(codes) == [0] + [1] * 7, said
    assert all("already" in text for text, code in zip(said, codes, strict=True) if code)
    lab.ok("stop", "-k", name)


def test_a_terminal_is_given_a_pty_of_its_own(lab: Lab) -> None:
    """The caller's terminal is not what the payload has, and its bytes and exit code come through."""
    name = lab.make("tty")
    pid, master = pty.fork()
    if pid == 0:
        command = lab.command("execute", name, "--", "/bin/sh", "-c", "tty; read word; echo got $word; exit 4")
        os.execve(command[0], command, lab.environment())
    outer = os.ttyname(master) if os.isatty(master) else ""
    os.write(master, b"hello\n")
    text = b""
    try:
        while chunk := os.read(master, 1024):
            text += chunk
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert b"/dev/pts/0" in text or b"/dev/console" in text
    assert b"got hello" in text, (outer, text)
    os.close(master)


def test_attach_limits_environment_and_namespaces(lab: Lab) -> None:
    name = lab.make("enter", "lxc.cap.drop = sys_admin net_raw", "lxc.no_new_privs = 1", "lxc.mount.auto = proc")
    lab.ok("start", name)
    status = lab.attach(name, "cat /proc/self/status").stdout
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    bounding = int(fields["CapBnd"], 16)
    assert not bounding >> 21 & 1 and not bounding >> 13 & 1 and bounding & 1
    assert int(fields["CapInh"], 16) == int(fields["CapAmb"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    env = lab.attach(name, "env", "--clear-env", "-v", "A=b").stdout.split()
    assert "A=b" in env and "container=lxc" in env
    assert not any(word.startswith(("SAMPAN_", "USER=")) for word in env)
    assert lab.attach(name, "exit 11").returncode == 11
    assert lab.sampan("attach", name, "--", "/bin/nosuch").returncode == 127
    host = lab.sampan("attach", name, "-s", "UTSNAME", "--", "/bin/hostname").stdout.strip()
    assert host == name
    lab.ok("stop", "-k", name)
    assert lab.attach(name, "true").returncode == 125


def test_lone_busybox_init_is_not_waited_for(lab: Lab) -> None:
    """Its halt sleeps although nothing is left; it must be gone long before the time-out's kill."""
    name = lab.make("lone")
    (lab.root(name) / "etc/inittab").write_text("::once:/bin/true\n")
    lab.ok("start", name)
    lab.ok("stop", name)
    assert lab.state(name)["state"] == "STOPPED"


def test_console_log_and_network(lab: Lab) -> None:
    log = lab.path / "console.log"
    name = lab.make("log", f"lxc.console.logfile = {log}", "lxc.net.0.type = empty", "lxc.mount.auto = proc sys")
    (lab.root(name) / "etc/inittab").write_text("::sysinit:/bin/echo hello console\n::respawn:/bin/sleep 1000\n")
    lab.ok("start", name)
    wait_for(lambda: log.exists() and "hello console" in log.read_text())
    links = lab.attach(name, "ls /sys/class/net; cat /sys/class/net/lo/flags; echo x >/proc/sys/kernel/hostname")
    assert links.stdout.split() == ["lo", "0x9"], "loopback alone, and up"
    assert "Read-only" in links.stderr
    pid = lab.state(name)["pid"]
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    lab.ok("stop", "-k", name)


def test_cgroup_values_are_set_and_the_unknown_refused(lab: Lab) -> None:
    if not (CGROUPS / "pids").is_dir():
        pytest.skip("needs the v1 pids controller")
    name = lab.make("values", "lxc.cgroup.pids.max = 77")
    lab.ok("start", name)
    assert (CGROUPS / "pids/sampan" / name / "pids.max").read_text().strip() == "77"
    lab.ok("stop", "-k", name)
    assert cgroup_leftovers(name) == []
    wrong = lab.make("wrong", "lxc.cgroup.nosuch.max = 1")
    refused = lab.sampan("start", wrong)
    assert refused.returncode == 1 and "nosuch" in refused.stderr


def test_the_size_of_dev(any_lab: Lab) -> None:
    for said, blocks in (("", 500000 // 4096 + 1), ("lxc.autodev.tmpfs.size = 65536", 16)):
        name = any_lab.make(f"dev{blocks}", said)
        size = any_lab.sampan("execute", name, "--", "/bin/stat", "-f", "-c", "%b", "/dev")
        assert int(size.stdout) == blocks, size


def test_no_signal_that_the_caller_ignored_stays_ignored(any_lab: Lab) -> None:
    name = any_lab.make("ignored")
    start = " ".join(any_lab.command("execute", name, "--", "/bin/grep", "SigIgn", "/proc/self/status"))
    done = subprocess.run(
        ["sh", "-c", f"trap '' HUP QUIT PIPE USR1 ALRM TERM; exec {start}"],
        env=any_lab.environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["SigIgn:", "0000000000000000"], done.stderr


def test_terminals_come_from_what_a_hook_has_mounted(any_lab: Lab) -> None:
    """The devpts that the container sees is the one: else tty(1) finds no name inside."""
    mount = "mount -t devpts -o newinstance,ptmxmode=0666,mode=600 none $LXC_ROOTFS_MOUNT/dev/pts"
    name = any_lab.make("over", f"lxc.hook.mount = sh -c '{mount} #'")
    done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", "ls /dev/pts; ls -l /dev/pts/0")
    assert done.stdout.split()[:2] == ["0", "ptmx"], done.stderr
    assert "crw-------" in done.stdout, "the one below has terminals of mode 620"


def test_a_broken_configuration_is_read_before_anything_is_done(lab: Lab) -> None:
    good, bad = lab.make("good"), lab.make("bad", "lxc.no.such.key = 1")
    watch = lab.popen("monitor", ".*", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: (lab.run_dir / ".watch").exists())
    done = lab.sampan("execute", bad, "--", "true")
    assert done.returncode == 125 and "lxc.no.such.key" in done.stderr
    missing = lab.sampan("start", f"{lab.prefix}-none")
    assert missing.returncode == 1 and "no such container" in missing.stderr and "cannot open" not in missing.stderr
    lab.ok("execute", good, "--", "/bin/true")
    watch.send_signal(signal.SIGTERM)
    text = watch.communicate(timeout=20)[0].decode()
    assert good in text and "STARTING" in text and bad not in text, text


def test_the_device_list_goes_with_the_state(any_lab: Lab) -> None:
    """What was given while it ran lasts until it starts again."""
    name = any_lab.make("list", "lxc.cgroup.devices.deny = a", "lxc.cgroup.devices.allow = c 1:3 rwm",
                        "lxc.cgroup2.devices.deny = a", "lxc.cgroup2.devices.allow = c 1:3 rwm")  # fmt: skip
    (any_lab.root(name) / "etc/inittab").write_text(
        "::respawn:/bin/sh -c 'echo >/up; sleep 1000'\n::ctrlaltdel:/bin/reboot\n"
    )
    any_lab.ok("start", name)
    wait_for((any_lab.root(name) / "up").exists)  # an init that has only begun takes no signal yet
    folder = any_lab.run_dir / name
    assert "\nc 1:3 rwm\n" in (folder / "state").read_text() and not (folder / "devices").exists()
    listed = any_lab.ok("cgroup", name, "devices.list")
    any_lab.ok("cgroup", name, "devices.allow", "c 1:5 r")
    assert any_lab.ok("cgroup", name, "devices.list") != listed and (folder / "devices").exists()
    first = any_lab.state(name)["pid"]
    any_lab.ok("stop", "-r", name)
    wait_for(lambda: any_lab.state(name)["state"] == "RUNNING" and any_lab.state(name)["pid"] != first)
    assert any_lab.ok("cgroup", name, "devices.list") == listed and not (folder / "devices").exists()
    any_lab.ok("stop", "-k", name)
