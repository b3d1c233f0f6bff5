"""The effective configuration: what is left of all files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from runtime_tools import READER, build


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints the effective configuration of a file."""
    return build(tmp_path_factory.mktemp("listtool"), "listtool", "tests/listtool.c", READER)


FLAT = """\
lxc.uts.name = inner
lxc.uts.name = outer
lxc.tty = 4
lxc.tty.max =
lxc.environment = A=1
lxc.environment = AB=1
lxc.environment = A=2
lxc.network.type = empty
lxc.network.flags = up
lxc.network.type = empty
lxc.net.3.type = empty
lxc.net.3 =
lxc.cgroup2.devices.deny = a
lxc.cgroup.devices.allow = c 1:3 rw
lxc.cgroup2.devices.allow = c 1:5 r
lxc.cgroup.cpu.shares = 1
lxc.cgroup.cpu.shares =
lxc.cgroup2.memory.max = 64M
lxc.include = @more
lxc.hook =
lxc.kmsg = 0
"""
FLATTENED = """\
lxc.uts.name = outer
lxc.environment = AB=1
lxc.environment = A=2
lxc.net.0.type = empty
lxc.net.0.flags = up
lxc.net.1.type = empty
lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = c 1:3 rw
lxc.cgroup.devices.allow = c 1:5 r
lxc.cgroup2.memory.max = 64M
lxc.cap.drop = kill
"""


def test_what_a_configuration_comes_to(lists: Path, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("lxc.cap.drop = kill\n")
    (tmp_path / "config").write_text(FLAT.replace("@", f"{tmp_path}/"))
    done = subprocess.run([lists, tmp_path / "config"], capture_output=True, text=True, check=True)
    assert done.stdout == FLATTENED
    (tmp_path / "again").write_text(done.stdout)
    assert subprocess.run([lists, tmp_path / "again"], capture_output=True, text=True, check=True).stdout == FLATTENED


def test_a_list_that_does_not_fit(lists: Path, tmp_path: Path) -> None:
    lines = "".join(f"lxc.cap.drop = kill{' ' * 3900}chown\n" for _ in range(40))
    (tmp_path / "config").write_text(lines)
    done = subprocess.run([lists, tmp_path / "config"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "CONF_LIST_MAX" in done.stderr
