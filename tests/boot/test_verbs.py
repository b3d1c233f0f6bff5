"""Each verb beyond the walk-through, typed on the serial console of every board and cgroup version."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sampan.qemu.boot import Machine

NAME = "verbs"
ROOT = f"/var/lib/lxc/{NAME}/rootfs"
#: A system container of the board's own busybox; its init keeps a sleep.
MAKE = f"""\
lxc-create -n {NAME}
cd {ROOT} && mkdir -p bin sbin etc proc sys dev/pts tmp run
cp /bin/busybox bin/ && ln -s busybox bin/sh && ln -s ../bin/busybox sbin/init
echo '::respawn:/bin/busybox sleep 1000' >etc/inittab; cd"""


@pytest.fixture
def container(machine: Machine) -> Iterator[Machine]:
    """The machine, with a container that is there for one test."""
    for line in MAKE.splitlines():
        machine.run(line).check()
    yield machine
    machine.run(f"lxc-stop -n {NAME} -k")
    machine.run(f"lxc-destroy -n {NAME}").check()


def test_freeze_wait_and_monitor(container: Machine) -> None:
    container.run(f"lxc-monitor -n '{NAME[:2]}.*' >/tmp/seen & sleep 1")
    container.run(f"lxc-start -n {NAME}").check()
    container.run(f"lxc-freeze -n {NAME}").check()
    assert "FROZEN" in container.run(f"lxc-info -n {NAME} -s").output
    container.run(f"lxc-wait -n {NAME} -s 'STOPPED|FROZEN' -t 1").check()
    container.run(f"lxc-unfreeze -n {NAME}").check()
    assert "RUNNING" in container.run(f"lxc-info -n {NAME} -s").output
    assert container.run(f"lxc-wait -n {NAME} -s STOPPED -t 0").status == 1
    container.run(f"lxc-stop -n {NAME} -k").check()
    container.run(f"lxc-wait -n {NAME} -s STOPPED -t 10").check()
    seen = container.run("kill %1; wait; cat /tmp/seen; rm /tmp/seen").output
    for state in ("STARTING", "RUNNING", "FROZEN", "THAWED", "STOPPED"):
        assert f"'{NAME}' changed state to [{state}]" in seen
