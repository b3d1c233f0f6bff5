"""Each switch of SAMPAN_DISABLE alone: the fallback of one call among calls that are there (any_lab turns all off)."""

from __future__ import annotations

import re

import pytest
from runtime_lab import ALL_OFF, RUNTIME, Lab

SWITCHES = ALL_OFF.split(",")


def test_the_tests_know_every_switch() -> None:
    table = (RUNTIME / "src/feat.c").read_text().partition("names[] =")[2].partition(";")[0]
    assert re.findall(r'"(\w+)\\0"', table) == SWITCHES


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_life_without(lab: Lab, switch: str) -> None:
    lab.env["SAMPAN_DISABLE"] = switch
    name = lab.make("off", "lxc.cgroup.devices.deny = a", "lxc.cgroup.devices.allow = c 1:3 rw", "lxc.tty.max = 1",
                    "lxc.mount.auto = proc sys cgroup", "lxc.mount.entry = tmpfs tmp tmpfs create=dir 0 0")  # fmt: skip
    lab.ok("start", name)
    seen = lab.attach(
        name, "echo x >/dev/null && ! cat /dev/zero 2>&1 | head -c 0; grep -c ' /tmp ' /proc/mounts; id -u"
    )
    assert seen.stdout.split()[-2:] == ["1", "0"], seen
    lab.ok("freeze", name)
    assert lab.state(name)["state"] == "FROZEN"
    lab.ok("unfreeze", name)
    lab.ok("stop", "-k", name)
    assert lab.sampan("execute", name, "--", "/bin/sh", "-c", ": </dev/zero").returncode != 0
    assert lab.sampan("execute", name, "--", "/bin/sh", "-c", "exit 7").returncode == 7
    assert lab.left_behind() == []
