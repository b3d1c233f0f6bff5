"""The walk-through of LXC's own introduction, typed on the serial console: one boot of a board serves all.

create, start, info, freeze, attach and console stand in test_walkthrough.py and test_verbs.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sampan.qemu.boot import Machine

pytestmark = pytest.mark.every_kernel

PATH = "/var/lib/lxc"


@pytest.fixture
def made(machine: Machine) -> Iterator[Machine]:
    """The machine with a container `p1` for one test; all containers are deleted afterwards."""
    machine.run("lxc-create -n p1 -t busybox").check()
    try:
        yield machine
    finally:
        machine.run("for c in $(lxc-ls -1); do lxc-stop -n $c -k; done; rm -rf /tmp/life")
        for _ in range(2):  # overlays keep what they lie on
            machine.run("for c in $(lxc-ls -1); do lxc-destroy -n $c -s; done")
        assert machine.run("lxc-ls -1; ls -A /var/lib/lxc | grep -v lost+found").output.strip() == ""


def add(machine: Machine, name: str, *lines: str) -> None:
    for line in lines:
        machine.run(f"echo '{line}' >> {PATH}/{name}/config").check()


def test_console_on_tty3_with_monitor_and_wait_in_parallel(made: Machine) -> None:
    add(made, "p1", "lxc.tty.max = 4")
    made.run("mkdir /tmp/life; lxc-monitor -n p1 > /tmp/life/monitor &").check()
    made.run("(lxc-wait -n p1 -s STOPPED; echo $? > /tmp/life/wait) &").check()
    made.run("lxc-start -n p1").check()
    made.run("lxc-attach -n p1 -- /bin/sh -c 'echo on tty three > /dev/tty3' & true").check()
    seen = made.run("(sleep 2; printf '\\001q') | lxc-console -n p1 -t 3", timeout=60).check().output
    assert "on tty three" in seen
    made.run("lxc-stop -n p1 -k").check()
    waited = "until [ -s /tmp/life/wait ]; do sleep 0.1; done; cat /tmp/life/wait"
    assert made.run(waited, timeout=60).output.strip().endswith("0")
    monitor = made.run("killall lxc-monitor; wait; cat /tmp/life/monitor").output
    assert [state for state in ("STARTING", "RUNNING", "STOPPED") if f"[{state}]" in monitor] == [
        "STARTING", "RUNNING", "STOPPED",
    ]  # fmt: skip


def test_copy_snapshot_and_restore(made: Machine) -> None:
    assert "Created container p2 as copy of p1" in made.run("lxc-copy -n p1 -N p2").check().output
    made.run(f"echo good > {PATH}/p2/rootfs/etc/state && lxc-snapshot -n p2").check()
    made.run(f"echo bad > {PATH}/p2/rootfs/etc/state").check()
    assert made.run("lxc-snapshot -n p2 -L").check().output.startswith(f"snap0 ({PATH}/p2/snaps) ")
    made.run("lxc-snapshot -n p2 -r snap0").check()
    made.run("lxc-start -n p2").check()
    inside = made.run("lxc-attach -n p2 -- /bin/sh -c 'hostname; cat /etc/state'").check().output
    assert inside.split() == ["p2", "good"]


def test_ephemeral_start(made: Machine) -> None:
    clone = made.run("lxc-copy -n p1 -e -t").check().output.split()[1]
    assert clone.startswith("p1_")
    made.run(f"lxc-attach -n {clone} -- /bin/sh -c 'echo x > /written'").check()
    made.run(f"lxc-stop -n {clone} -k").check()
    assert made.run("lxc-ls -1").output.split() == ["p1"]
    assert made.run(f"ls {PATH}/p1/rootfs/written").status != 0


def test_autostart_with_groups_and_order(made: Machine) -> None:
    for name, order, groups in (("p2", 1, "onboot"), ("p3", 2, "onboot")):
        made.run(f"lxc-copy -n p1 -N {name}").check()
        add(made, name, "lxc.start.auto = 1", f"lxc.start.order = {order}", f"lxc.group = {groups}")
    add(made, "p1", "lxc.start.auto = 1")
    assert made.run("lxc-autostart -L -g onboot,").check().output.split()[::2] == ["p2", "p3", "p1"]
    made.run("lxc-autostart -g onboot").check()
    assert made.run("lxc-ls -1 --running").output.split() == ["p2", "p3"]
    made.run("lxc-autostart -s -a -A -t 10", timeout=60).check()
    assert made.run("lxc-ls -1 --running").output.strip() == ""


def test_hooks_and_logs(made: Machine) -> None:
    made.run("mkdir /tmp/life").check()
    add(
        made, "p1", "lxc.hook.pre-start = /bin/sh -c \"echo pre $LXC_NAME >> /tmp/life/hooks #\"",
        "lxc.hook.post-stop = /bin/sh -c \"echo post $LXC_TARGET >> /tmp/life/hooks #\"",
        "lxc.console.logfile = /tmp/life/console", "lxc.sysctl.net.ipv4.ip_forward = 1", "lxc.prlimit.nofile = 99",
        "lxc.mount.auto = proc:mixed",
    )  # fmt: skip
    made.run("lxc-start -n p1 -o /tmp/life/log -l INFO").check()
    inside = "cat /proc/sys/net/ipv4/ip_forward; ulimit -n; echo to the console > /dev/console"
    assert made.run(f"lxc-attach -n p1 -- /bin/sh -c '{inside}'").check().output.split() == ["1", "99"]
    made.run("lxc-stop -n p1 -k").check()
    assert made.run("cat /tmp/life/hooks").output.splitlines() == ["pre p1", "post stop"]
    assert "to the console" in made.run("cat /tmp/life/console").output
    assert "to the console" in made.run("lxc-console -n p1 -t 0").output
    assert "p1: RUNNING" in made.run("cat /tmp/life/log").output
