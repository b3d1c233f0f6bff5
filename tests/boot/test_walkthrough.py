"""The walk-through on every board and cgroup version, and what a person does around it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.build import image as images
from sampan.control.walkthrough import CONFIGS, Stage, run_stage, stages, system_stage
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions

#: What /proc/mounts says of each layout: file system and mount point.
MOUNTS = {
    "v1": ("cgroup /sys/fs/cgroup/devices", "cgroup /sys/fs/cgroup/freezer"),
    "v1-single": ("cgroup /sys/fs/cgroup",),
    "v2": ("cgroup2 /sys/fs/cgroup",),
    "hybrid": ("cgroup /sys/fs/cgroup/devices", "cgroup2 /sys/fs/cgroup/unified"),
}


def cgroup_mounts(machine: Machine) -> list[str]:
    table = [line.split() for line in machine.run("cat /proc/mounts").output.splitlines()]
    return [f"{kind} {place}" for _, place, kind, *_ in table if kind.startswith("cgroup")]


def traces(machine: Machine) -> str:
    """What containers leave on a target when they leave something."""
    return machine.run(
        "find /sys/fs/cgroup -name 'app_bash*' -o -name 'sys_elinux*'; ls /run/sampan 2>/dev/null;"
        " ls /var/lib/lxc; grep /var/lib/lxc/ /proc/mounts; ps | grep '[s]leep 600'"
    ).output


@pytest.mark.every_kernel
@pytest.mark.parametrize("stage", stages(), ids=lambda stage: stage.name)
def test_stage(machine: Machine, stage: Stage) -> None:
    before = traces(machine)
    run_stage(machine, stage)
    assert traces(machine) == before


@pytest.mark.every_kernel
def test_the_layout_is_the_one_asked_for(machine: Machine) -> None:
    layout = next(word for word in machine.instance.argv if "sampan.cgroup=" in word)
    layout = layout.partition("sampan.cgroup=")[2].split()[0]
    assert set(MOUNTS[layout]) <= set(cgroup_mounts(machine))
    assert layout == "hybrid" or len({mount.split()[0] for mount in cgroup_mounts(machine)}) == 1


@pytest.mark.every_kernel
def test_a_container_that_cannot_start_leaves_nothing(machine: Machine) -> None:
    before = traces(machine)
    machine.run(f"lxc-create -n sys_elinux -f {CONFIGS}/sys_elinux.fixed.config").check()
    try:
        failed = machine.run("lxc-start -n sys_elinux")
        assert failed.status != 0
        # The root file system is still empty: the first line of the configuration that needs it is named.
        assert "config:8: mount point /dev: No such file or directory" in failed.output
        assert "STOPPED" in machine.run("lxc-info -n sys_elinux -s").output
    finally:
        machine.run("lxc-destroy -n sys_elinux").check()
    assert traces(machine) == before


@pytest.mark.parametrize("board", ["qemux86-64", "qemuarm"])
@pytest.mark.parametrize("layout", ["hybrid", "v1-single"])
def test_rarer_layouts(folder_of: Callable[[str], Path], options: BootOptions, board: str, layout: str) -> None:
    """Hybrid is what systemd gives old boards; all controllers in one hierarchy is how it was in 2012."""
    with booted(folder_of(board), dataclasses.replace(options, cgroup=layout)) as machine:
        assert set(MOUNTS[layout]) <= set(cgroup_mounts(machine))
        run_stage(machine, system_stage())
        assert machine.poweroff().clean


def test_containers_survive_a_reboot_on_the_data_disk(
    folder_of: Callable[[str], Path], options: BootOptions, tmp_path: Path
) -> None:
    folder = folder_of("qemuarm64")
    disk = tmp_path / "data.ext4"
    shutil.copy(folder / images.load(folder).data.file, disk)
    mine = dataclasses.replace(options, snapshot=False, data=disk)
    with booted(folder, mine) as machine:
        machine.run(f"lxc-create -n kept -f {CONFIGS}/app_bash.config").check()
        assert machine.poweroff().clean
    with booted(folder, mine) as machine:
        assert "kept" in machine.run("lxc-ls").output
        machine.kill()  # the power fails
    with booted(folder, mine) as machine:
        assert "kept" in machine.run("lxc-ls").output
        machine.run("lxc-destroy -n kept").check()


def test_without_a_data_disk_containers_live_in_memory(
    folder_of: Callable[[str], Path], options: BootOptions, tmp_path: Path
) -> None:
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(1 << 20))
    with booted(folder_of("qemuarm64"), dataclasses.replace(options, data=blank)) as machine:
        assert " /var/lib/lxc tmpfs " in machine.run("cat /proc/mounts").output


def test_a_copied_folder_boots(folder_of: Callable[[str], Path], options: BootOptions, tmp_path: Path) -> None:
    folder = folder_of("qemuarm64")
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    shutil.copy(folder / "image.json", copy)
    for entry in images.files(images.load(folder)):
        (copy / entry.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / entry.file, copy / entry.file)
    with booted(copy, options) as machine:
        assert machine.run("hostname").output == "qemuarm64\n"
