"""verify on every board and cgroup layout: the kernel's answers, node by node; a broken policy is caught."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.build import image as images
from sampan.control import verify
from sampan.control.shells import Subject
from sampan.core import paths
from sampan.devices import catalogue, naming, plan, policyfile, proof
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions, Wiring, argv

LIST = """lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = c 1:3 rwm
lxc.cgroup.devices.allow = /dev/zero r
lxc.cgroup.devices.allow = c 1:8 w
lxc.cgroup.devices.allow = profile:entropy
lxc.cgroup.devices.allow = c 136:* rw
"""
BOARDS = ("qemux86-64", "qemux86", "qemuarm", "qemuarm64")
#: Seconds of QEMU's processor that one verify may take under TCG.
BAR = 10.0


def policy(text: str) -> policyfile.Policy:
    return policyfile.loads(text, "list")


@pytest.fixture
def target(machine: Machine) -> Iterator[Subject]:
    """The machine, with a running container that has LIST."""
    found = Subject("qemu", machine.image.board, machine)
    try:
        verify.throwaway(machine, policy(LIST), found.board)
        yield found
    finally:
        verify.remove(machine)


def rows(found: proof.Proof) -> dict[str, tuple[str, str]]:
    return {row.number: (row.wanted, row.found) for row in found.rows}


def test_the_kernel_does_what_the_list_says_and_a_broken_list_is_caught(target: Subject) -> None:
    machine = target.shell
    assert isinstance(machine, Machine)
    before = machine.cpu_seconds
    found = verify.run(target, verify.THROWAWAY, policy(LIST))
    assert machine.cpu_seconds - before < BAR
    assert found.good, found.mismatches
    assert found.asked > 4600 and found.devices > 60 and found.mknod
    seen = rows(found)
    assert seen["c 1:3"] == ("rwm", "rwm") and seen["c 1:5"] == ("r", "r") and seen["c 1:8"] == ("w", "w")
    assert seen["c 10:183"] == ("r", "r") and seen["c 136:255"] == ("rw", "rw")
    assert seen["c 5:1"] == ("", "") and seen["c 1:1"] == ("", "")  # devices, refused
    assert found.kernel == machine.run("uname -r").output.strip()
    assert not machine.run("ls /run").output.count(verify.THROWAWAY), "the tmpfs is gone"

    # Its own configuration on the target says the same.
    assert verify.run(target, verify.THROWAWAY).good

    # Another policy than the one in force: each difference is said, none more.
    wrong = verify.run(target, verify.THROWAWAY, policy(LIST.replace("c 1:8 w", "c 1:9 w")))
    said = {(each.number, each.ask, each.wanted): each.why for each in wrong.mismatches}
    assert set(said) == {("c 1:8", "write", False), ("c 1:9", "write", True)}
    assert "the list in its cgroup allows `c 1:8 w`" in said["c 1:8", "write", False]
    assert "has no rule for it" in said["c 1:9", "write", True]

    # A list that was widened while the container runs, at a number without any device.
    machine.run(f"lxc-cgroup -n {verify.THROWAWAY} devices.allow 'c 300:1 rw'").check()
    (read, write, both) = verify.run(target, verify.THROWAWAY).mismatches
    assert {each.ask for each in (read, write, both)} == {"read", "write", "both"}
    assert read.number == "c 300:1" and not read.wanted and "changed since the start" in read.why


def test_without_the_right_to_make_nodes_m_is_not_tried(machine: Machine) -> None:
    target = Subject("qemu", machine.image.board, machine)
    machine.run("lxc-create -n nomknod -t busybox").check()
    try:
        machine.run(
            f"printf %s '{LIST.replace('/dev/zero', 'c 1:5').replace('profile:entropy', 'c 10:183 r')}' "
            ">>/var/lib/lxc/nomknod/config; echo lxc.cap.drop = mknod >>/var/lib/lxc/nomknod/config"
        ).check()
        machine.run("lxc-start -n nomknod").check()
        found = verify.run(target, "nomknod")
        assert found.good and not found.mknod
        assert rows(found)["c 1:3"] == ("rwm", "rw")
    finally:
        machine.run("lxc-stop -k -n nomknod; lxc-destroy -n nomknod")


def test_names_that_the_runtime_resolves_are_opened(machine: Machine) -> None:
    """An example configuration as the build installs it: its names become numbers at the start, on the target."""
    found = Subject("qemu", machine.image.board, machine)
    live = verify.probe(machine, found.board)
    config = (paths.ROOT / "configs" / "containers" / "clock.config").read_text(encoding="utf-8")
    text = naming.without_profiles(config, live, catalogue.load())
    if "rtc0" not in live.by_name:
        text = text.replace("/dev/rtc0 r", "/dev/rtc0 r optional")
    try:
        machine.run("lxc-create -n clock -t busybox").check()
        devices = "".join(line + "\n" for line in text.splitlines() if "devices" in line)
        machine.run(f"printf %s {shlex.quote(devices)} >>/var/lib/lxc/clock/config").check()
        machine.run("lxc-start -n clock").check()
        seen = verify.run(found, "clock")
        assert seen.good, seen.mismatches
        assert rows(seen)["c 136:255"] == ("rw", "rw")
        if "rtc0" in live.by_name:
            assert rows(seen)[live.by_name["rtc0"].number] == ("r", "r")
        # The same list as numbers, judged on its own: what generate says is what the runtime does.
        made = plan.make("clock", policy(config), live, catalogue.load()) if "rtc0" in live.by_name else None
        numbers = "".join(f"lxc.cgroup.devices.allow = {rule}\n" for rule in made.rules) if made else ""
        if made:
            assert verify.run(found, "clock", policy("lxc.cgroup.devices.deny = a\n" + numbers)).good
    finally:
        machine.run("lxc-stop -k -n clock; lxc-destroy -n clock")


@pytest.mark.parametrize("board", BOARDS)
def test_hybrid(board: str, folder_of: Callable[[str], Path], options: BootOptions, tmp_path: Path) -> None:
    with booted(folder_of(board), BootOptions(cgroup="hybrid", snapshot=True, log=tmp_path / "log")) as machine:
        target = Subject("qemu", board, machine)
        name = verify.throwaway(machine, policy(LIST), board)
        found = verify.run(target, name, policy(LIST))
        assert found.good and found.cgroup == "hybrid"


def test_over_a_serial_line(folder_of: Callable[[str], Path]) -> None:
    """A tty as a board's UART is one: QEMU's own pty, the command as a person types it, and a second time."""
    folder = folder_of("qemux86-64")
    wiring = Wiring(console_fd=-1, qmp_fd=-1)
    words = argv(images.load(folder), folder, BootOptions(), wiring, "tcg")
    words = [re.sub(r"^socket,id=(console|qmp),.*", r"pty,id=\1", word) for word in words]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as qemu:
        try:
            assert qemu.stdout
            tty = next(line.split()[4] for line in qemu.stdout if "label console" in line)
            with Path(tty).open("rb", buffering=0) as line:
                seen = b""
                while b"login: " not in seen:
                    seen += line.read(256)
            verified = [sys.executable, "-m", "sampan", "devices", "verify", f"{tty}?baud=115200", "clock"]
            for _ in range(2):
                done = subprocess.run(
                    [*verified, "--board", "qemux86-64"], cwd=paths.ROOT, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, done.stdout + done.stderr
                assert "clock on qemux86-64@" in done.stdout and "cgroup v2" in done.stdout
        finally:
            qemu.kill()
