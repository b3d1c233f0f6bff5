"""Each verb beyond the walk-through, typed on the serial console of every board and cgroup version."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sampan.qemu.boot import Machine

pytestmark = pytest.mark.every_kernel

NAME = "verbs"


@pytest.fixture
def container(machine: Machine) -> Iterator[Machine]:
    """The machine, with a container that is there for one test."""
    machine.run(f"lxc-create -n {NAME} -t busybox").check()
    try:
        yield machine
    finally:
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


def test_the_template_makes_a_system_that_shows_and_ends_itself(container: Machine) -> None:
    """Its /proc is there, and its init halts by the signal that the template names."""
    container.run(f"lxc-start -n {NAME}").check()
    container.run(f"lxc-attach -n {NAME} -- /bin/sh -c 'until ps | grep -q [g]etty; do usleep 100000; done'").check()
    assert "/sbin/init" in container.run(f"lxc-attach -n {NAME} -- ps").check().output
    container.run(f"lxc-stop -n {NAME} --nokill -t 10").check()
    assert "STOPPED" in container.run(f"lxc-info -n {NAME} -s").output


def test_console(container: Machine) -> None:
    """Its getty asks for a name on the console; leaving by Ctrl-a q gives the line back."""
    container.run(f"lxc-start -n {NAME}").check()
    typed = "(sleep 2; echo; sleep 2; printf '\\001q')"
    assert f"{NAME} login:" in container.run(f"{typed} | lxc-console -n {NAME} -t 0", timeout=60).check().output
    assert container.run(f"lxc-console -n {NAME} -t 7").status == 1


def test_cgroup_changes_the_device_list(container: Machine) -> None:
    container.run(f"echo lxc.cgroup.devices.deny = a >>/var/lib/lxc/{NAME}/config").check()
    container.run(f"echo lxc.cgroup.devices.allow = c *:* m >>/var/lib/lxc/{NAME}/config").check()
    container.run(f"lxc-start -n {NAME}").check()
    use = f"lxc-attach -n {NAME} -- /bin/sh -c 'mknod /tmp/zero c 1 5; head -c 1 /tmp/zero | wc -c'"
    assert "Operation not permitted" in container.run(use).output
    container.run(f"lxc-cgroup -n {NAME} devices.allow 'c 1:5 r'").check()
    assert "not permitted" not in container.run(use).output
    assert "c 1:5 r" in container.run(f"lxc-cgroup -n {NAME} devices.list").output
    assert container.run(f"lxc-cgroup -n {NAME} nosuch.file 1").status == 1
