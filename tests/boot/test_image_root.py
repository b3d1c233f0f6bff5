"""A board's own squashfs as a system container from a read-only disk, and a container inside of that one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.core.run import run
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions

NAME = "outer"
#: What a nested container's /dev needs, its consoles, and nothing more.
ALLOWED = ["1:3 rwm", "1:5 rwm", "1:7 rwm", "1:8 rwm", "1:9 rwm", "5:0 rwm", "5:1 rwm", "5:2 rwm", "136:* rwm"]
CONFIG = f"""\
lxc.uts.name = {NAME}
lxc.rootfs.path = /var/lib/lxc/root.squashfs
lxc.mount.auto = proc:rw sys:rw
lxc.mount.entry = tmpfs run tmpfs mode=755 0 0
lxc.mount.entry = tmpfs tmp tmpfs mode=1777 0 0
lxc.net.0.type = empty
# it runs containers, whose device lists are loaded by bpf(2), which the built-in list refuses
lxc.seccomp.profile = none
lxc.cgroup.devices.deny = a
"""
INNER = "lxc.rootfs.path = overlay:/:tmpfs\\nlxc.cgroup.devices.deny = a\\nlxc.cgroup.devices.allow = c 1:3 rwm\\n"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(f"{board}-{layout}", marks=pytest.mark.xdist_group(f"image-{board}-{layout}"))
        for board in ("qemux86-64", "qemuarm")
        for layout in ("v1", "v2")
    ],
)
def nest(
    request: pytest.FixtureRequest, folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A machine whose data disk has the image and is read-only, with the container running."""
    board, _, layout = request.param.rpartition("-")
    folder, tmp = folder_of(board), tmp_path_factory.mktemp("image")
    (tmp / "disk").mkdir()
    shutil.copy(folder / "rootfs.squashfs", tmp / "disk/root.squashfs")
    config = CONFIG + "".join(f"lxc.cgroup.devices.allow = c {rule}\n" for rule in ALLOWED)
    (tmp / "disk/config").write_text(config)
    run(["mke2fs", "-q", "-t", "ext4", "-L", "sampan-data", "-d", tmp / "disk", tmp / "data.ext4", "8M"])
    options = BootOptions(cgroup=layout, snapshot=True, data=tmp / "data.ext4", log=tmp / "console.log")
    with booted(folder, options) as machine:
        machine.run("mount -o remount,ro /var/lib/lxc").check()
        machine.run(f"lxc-start -n {NAME} -f /var/lib/lxc/config").check()
        ready = 'for i in 1 2 3 4 5 6 7 8 9; do grep -q " /var/lib/lxc " /proc/mounts && break; sleep 1; done'
        inside(machine, ready)
        yield machine
        machine.run(f"lxc-stop -n {NAME}", timeout=90).check()
        assert machine.run("ls /run/sampan").output == ""
        assert machine.run("cat /sys/block/loop*/loop/backing_file 2>/dev/null").output == ""
        assert machine.poweroff().clean


def inside(machine: Machine, script: str) -> str:
    """Runs a script in the container; its output."""
    return machine.run(f"lxc-attach -n {NAME} -- /bin/sh -c '{script}'", timeout=60).output


def test_its_root_is_the_image(nest: Machine) -> None:
    seen = inside(nest, 'hostname; grep " / " /proc/mounts; touch /new; ps | head -2')
    assert "squashfs ro" in seen and "Read-only file system" in seen
    assert "/sbin/init" in seen


def test_a_container_runs_inside_of_it(nest: Machine) -> None:
    made = inside(nest, f'lxc-create -n inner && printf "{INNER}" >/var/lib/lxc/inner/config; echo made $?')
    assert "made 0" in made, made
    seen = inside(
        nest,
        'lxc-execute -n inner -- /bin/sh -c "echo pid \\$\\$; cat /proc/self/cgroup; head -c 1 /dev/null && echo null"',
    )
    assert "pid 2" in seen and "null" in seen, seen
    assert "inner" not in seen.partition("pid")[2]


@pytest.mark.parametrize("rule", ["c 1:11 r", "a"])
def test_the_inner_one_cannot_have_more_devices(nest: Machine, rule: str) -> None:
    config = f"lxc.rootfs.path = overlay:/:tmpfs\\nlxc.cgroup.devices.deny = a\\nlxc.cgroup.devices.allow = {rule}\\n"
    inside(nest, f'mkdir -p /var/lib/lxc/more; printf "{config}" >/var/lib/lxc/more/config')
    seen = inside(
        nest, 'lxc-execute -n more -- /bin/sh -c "mknod /tmp/kmsg c 1 11; head -c 1 /tmp/kmsg | wc -c"; echo code $?'
    )
    assert "ermission denied" in seen or "not permitted" in seen, seen
