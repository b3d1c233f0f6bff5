"""What must never happen: something left behind, a step outside of the root, a host object handed in."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shlex
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from isolation_files import Check, console_is_no_link, disk_stays_writable, system_folder_is_no_link
from isolation_payload import callers_descriptors_stay_outside
from runtime_lab import ALL_OFF, Lab, wait_for

from sampan.core import paths

pytestmark = pytest.mark.both_ways

AT_FDCWD = -100
AT_RANDOM = 25
RENAME_EXCHANGE = 2


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["lxc.mount.entry = tmpfs nowhere tmpfs defaults 0 0"], "create=dir"),
        (["lxc.mount.entry = x tmp nosuchfs defaults 0 0"], "nosuchfs"),
        (["lxc.mount.entry = /nosuch/source tmp none bind 0 0"], "/nosuch/source"),
        (["lxc.init.cmd = /sbin/nosuch"], "/sbin/nosuch"),
        (["lxc.init.cwd = /nosuch"], "/nosuch"),
        (["lxc.rootfs.path = dir:/nosuch/rootfs"], "/nosuch/rootfs"),
        (["lxc.cgroup.pids.max = many"], "pids.max"),
        (["lxc.net.0.type = veth", "lxc.net.0.link = nosuch0"], "link = nosuch0"),
        (["lxc.nosuch.key = 1"], "lxc.nosuch.key"),
    ],
)
@pytest.mark.parametrize("verb", ["start", "execute"])
def test_a_failed_start_says_why_and_leaves_nothing(lab: Lab, verb: str, lines: list[str], said: str) -> None:
    name = lab.make("fail", *lines)
    words = ["--", "/bin/true"] if verb == "execute" and "init.cmd" not in lines[0] else []
    done = lab.sampan(verb, name, *words)
    if verb == "execute" and not words:
        said = "lxc.execute.cmd"
    assert done.returncode in (1, 125, 127)
    assert said in done.stderr
    assert lab.left_behind() == []


def test_rules_without_anything_to_enforce_them_end_the_start(lab: Lab) -> None:
    lab.env["SAMPAN_CGROUP_ROOT"] = "/nosuch"
    name = lab.make("open", "lxc.cgroup.devices.deny = a")
    done = lab.sampan("start", name)
    assert done.returncode == 1 and "device rules" in done.stderr
    loose = lab.make("loose")
    assert lab.sampan("execute", loose, "--", "/bin/true").returncode == 0, "none are set: it may run"


def test_links_in_the_root_never_lead_out(any_lab: Lab) -> None:
    host = any_lab.path / "host"
    (host / "deep").mkdir(parents=True)
    name = any_lab.make(
        "links",
        "lxc.mount.entry = tmpfs absolute tmpfs create=dir,optional 0 0",
        "lxc.mount.entry = tmpfs climbing/made/by tmpfs create=dir,optional 0 0",
        "lxc.mount.entry = /etc inside none bind 0 0",
        "lxc.mount.entry = /etc/hostname fileof none bind,create=file,optional 0 0",
    )
    root = any_lab.root(name)
    (root / "absolute").symlink_to(host / "deep")
    (root / "climbing").symlink_to("../../../../../../../.." + str(host))
    (root / "inside").symlink_to("/root")
    (root / "fileof").symlink_to(host / "file")
    done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", "test -e /root/passwd && cat /proc/mounts")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in host.rglob("*")) == ["deep"]


def test_a_flipping_mount_point_makes_nothing_on_the_host(lab: Lab) -> None:
    """Directory and link change places all the time (runc CVE-2021-30465, CVE-2024-45310)."""
    host = lab.path / "host"
    host.mkdir()
    name = lab.make("flip", "lxc.mount.entry = tmpfs flip/a/b tmpfs create=dir,optional 0 0")
    root = lab.root(name)
    (root / "flip").mkdir()
    (root / "other").symlink_to(host)
    libc = ctypes.CDLL(None, use_errno=True)
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            a, b = os.fsencode(root / "flip"), os.fsencode(root / "other")
            libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        for attempt in range(30):
            lab.env["SAMPAN_DISABLE"] = ALL_OFF if attempt % 2 else ""
            assert lab.sampan("execute", name, "--", "/bin/true").returncode in (0, 125)
            assert list(host.iterdir()) == []
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("place", "lines"), [("dev", []), ("proc", ["lxc.mount.auto = proc"]), ("sys", ["lxc.mount.auto = sys"])]
)
def test_system_directories_that_are_links_are_refused(any_lab: Lab, place: str, lines: list[str]) -> None:
    """The image's /dev as a link made other runtimes create nodes on the host (runc 2026-41579)."""
    system_folder_is_no_link(place, *lines)(any_lab)


@pytest.mark.parametrize("check", [console_is_no_link, callers_descriptors_stay_outside, disk_stays_writable])
def test_rules_of_isolation_hold_on_any_host(any_lab: Lab, check: Check) -> None:
    check(any_lab)


def test_a_descriptor_above_the_limit_does_not_come_in(any_lab: Lab) -> None:
    """It was opened before somebody lowered the limit."""
    name = any_lab.make("high")
    high = 900
    folder = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    os.dup2(folder, high, inheritable=True)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        done = subprocess.run(
            any_lab.command("execute", name, "--", "/bin/sh", "-c", "ls /proc/self/fd /proc/1/fd"),
            env=any_lab.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=[high],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, most)),
        )  # fmt: skip
    finally:
        os.close(high)
        os.close(folder)
    assert done.returncode == 0 and str(high) not in done.stdout.split(), done


def test_the_runtimes_binary_cannot_be_written_from_inside(any_lab: Lab) -> None:
    """PID 1 of an app container is the runtime itself (CVE-2019-5736)."""
    before = any_lab.binary.read_bytes()
    name = any_lab.make("exe")
    done = any_lab.sampan("execute", name, "--", "/bin/sh", "-c", "echo evil >> /proc/1/exe")
    assert done.returncode != 0
    if "open_tree" not in any_lab.off:
        assert any(word in done.stderr for word in ("Read-only", "Text file busy", "not permitted"))
    assert any_lab.binary.read_bytes() == before


def test_the_callers_environment_stays_outside(lab: Lab) -> None:
    lab.env["SECRET_WORD"] = "swordfish"
    name = lab.make("env", "lxc.environment = SHOWN=yes", "lxc.environment = TAKEN", "lxc.environment = ABSENT")
    lab.env["TAKEN"] = "from the caller"
    script = "cat /proc/*/environ | tr '\\0' '\\n'; env"
    (lab.root(name) / "bin/tr").symlink_to("busybox")
    done = lab.sampan("execute", name, "--", "/bin/sh", "-c", script)
    assert "SHOWN=yes" in done.stdout and "TAKEN=from the caller" in done.stdout, done.stderr
    assert "swordfish" not in done.stdout and "ABSENT" not in done.stdout


def test_state_only_in_a_private_folder(lab: Lab) -> None:
    name = lab.make("state")
    lab.run_dir.chmod(0o755)
    assert "0700" in lab.sampan("start", name).stderr
    lab.run_dir.chmod(0o700)
    (lab.run_dir / name).symlink_to(lab.path)
    done = lab.sampan("start", name)
    assert done.returncode == 1
    (lab.run_dir / name).unlink()
    assert not (lab.path / "state").exists()


def test_destroy_stays_on_its_own_mount(lab: Lab) -> None:
    host = lab.path / "host"
    (host / "dir").mkdir(parents=True)
    (host / "file").write_text("kept")
    name = lab.make("destroy")
    root = lab.root(name)
    (root / "tmp/link").symlink_to(host)
    (root / "tmp/mounted here").mkdir()
    subprocess.run(["mount", "--bind", host, root / "tmp/mounted here"], check=True)
    try:
        refused = lab.sampan("destroy", name)
        assert refused.returncode == 1 and "mounted here" in refused.stderr
        assert (root / "bin/busybox").exists(), "nothing was deleted"
    finally:
        subprocess.run(["umount", root / "tmp/mounted here"], check=True)
    lab.ok("start", name)
    running = lab.sampan("destroy", name)
    assert running.returncode == 1 and "running" in running.stderr
    lab.ok("destroy", "-f", name)
    assert not (lab.lxc / name).exists()
    assert (host / "file").read_text() == "kept"


def test_the_supervisor_is_small(lab: Lab) -> None:
    name = lab.make("small", "lxc.tty.max = 2")
    lab.ok("start", name)
    supervisor = lab.state(name)["supervisor"]
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{supervisor}/smaps_rollup").read_text().splitlines()[1:])
    # File pages are the program itself: there once, however many containers run.
    assert int(fields["Anonymous"].split()[0]) <= 150, "kB"
    assert len(os.listdir(f"/proc/{supervisor}/fd")) <= 15
    lab.ok("stop", "-k", name)


def test_the_socket_answers_strangers_with_silence(lab: Lab) -> None:
    """Unknown words, long lines and half lines do not disturb the supervisor."""
    name = lab.make("sock")
    lab.ok("start", name)
    for bad in (b"nonsense\n", b"x" * 5000, b"sta", b"\0\0\n"):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(lab.run_dir / name / "socket"))
            s.sendall(bad)
            s.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                s.recv(100)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(lab.run_dir / name / "socket"))
        s.sendall(b"state\n")
        assert s.recv(100).startswith(b"ok RUNNING ")
    lab.ok("stop", "-k", name)


def test_a_cut_state_file_is_not_believed(lab: Lab) -> None:
    name = lab.make("cut")
    (lab.run_dir / name).mkdir(mode=0o700)
    (lab.run_dir / name / "state").write_text("state RUNNING\ninit 1 ")
    done = lab.sampan("start", name)
    assert done.returncode == 1 and "damaged" in done.stderr
    (lab.run_dir / name / "state").unlink()
    lab.ok("start", name)
    wait_for(lambda: lab.state(name)["state"] == "RUNNING")
    lab.ok("stop", "-k", name)


def test_attach_below_a_chroot_is_in_the_containers_root(lab: Lab) -> None:
    """setns(2) into a mount namespace gives its root, which is the host's when start ran below a chroot."""
    name = lab.make("caged")
    cage = lab.path / "cage"
    cage.mkdir()
    (lab.root(name) / "inside").write_text("")
    steps = [
        lab.command("execute", "-d", name, "--", "/bin/sleep", "1000"),
        lab.command("attach", name, "--", "/bin/ls", "/"),
        lab.command("stop", "-k", name),
    ]
    inside = " && ".join(shlex.join(step) for step in steps)
    mounts = f"mount --make-rprivate / && mount --rbind / {cage}"
    outside = f"{mounts} && exec chroot {cage} /bin/sh -c {shlex.quote(inside)}"
    done = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", outside], env=lab.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "inside" in done.stdout.split()


@pytest.mark.parametrize(
    "line",
    [
        "lxc.apparmor.profile = nosuch-profile",
        "lxc.selinux.context = u:r:nosuch:s0",
        "lxc.selinux.context.keyring = u:r:no:s0",
    ],
)
def test_a_label_that_cannot_be_applied_ends_the_start(any_lab: Lab, line: str) -> None:
    """LXC goes on without a word where the kernel has no AppArmor."""
    name = any_lab.make("label", line)
    for verb, words in (("execute", ["--", "/bin/true"]), ("start", [])):
        done = any_lab.sampan(verb, name, *words)
        assert done.returncode in (1, 125) and line in done.stderr and "hint" in done.stderr


def guards(process: subprocess.Popen[bytes]) -> set[bytes]:
    """The stack protector's guard in a process's memory, if musl has drawn it (AT_RANDOM, auxv(7))."""
    words = struct.unpack("64Q", Path(f"/proc/{process.pid}/auxv").read_bytes().ljust(512, b"\0")[:512])
    with Path(f"/proc/{process.pid}/mem").open("rb") as memory:
        memory.seek(dict(zip(words[::2], words[1::2], strict=True))[AT_RANDOM])
        guard = bytearray(memory.read(8))
        guard[1] = 0  # a text that is copied too far ends there
        found = set()
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            if " rw" in line and "[stack]" not in line:
                first, last = (int(word, 16) for word in line.split()[0].split("-"))
                memory.seek(first)
                found |= {bytes(guard)} if guard in memory.read(last - first) else set()
    return found


def test_the_guard_of_the_stack_is_drawn_at_random(lab: Lab) -> None:
    """Of the program as the images have it."""
    lab.binary = paths.build_dir() / "arch" / os.uname().machine / "sampan"
    seen = set()
    for _ in range(2):
        watch = lab.popen("monitor", ".*", stdout=subprocess.DEVNULL)
        wait_for((lab.run_dir / ".watch" / str(watch.pid)).exists)
        seen |= guards(watch)
        watch.terminate()
        watch.wait()
    assert len(seen) == 2
