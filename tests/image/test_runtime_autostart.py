"""Starting and stopping many containers in order: groups, order, delay, at once where order allows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from runtime_lab import Lab


def auto(lab: Lab, label: str, *lines: str) -> str:
    log = lab.path / "log"
    return lab.make(
        label,
        "lxc.start.auto = 1",
        f"lxc.hook.start-host = sh -c 'echo + {label} >> {log} #'",
        f"lxc.hook.post-stop = sh -c 'echo - {label} >> {log} #'",
        *lines,
    )


def log(lab: Lab) -> list[str]:
    path = lab.path / "log"
    found = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def listed(lab: Lab, *options: str) -> list[str]:
    return [line.split()[0].rpartition("-")[2] for line in lab.ok("autostart", "-L", *options).splitlines()]


def test_which_and_in_what_order(lab: Lab) -> None:
    auto(lab, "b", "lxc.start.order = 2")
    auto(lab, "a", "lxc.start.order = 2", "lxc.start.delay = 3")
    auto(lab, "c", "lxc.start.order = 1")
    auto(lab, "g", "lxc.group = onboot other", "lxc.start.order = 9")
    lab.make("manual")
    assert listed(lab) == ["c", "a", "b"]
    assert listed(lab, "-g", "onboot,") == ["g", "c", "a", "b"]
    assert listed(lab, "-g", "other") == ["g"]
    assert listed(lab, "-a") == ["c", "a", "b", "g"]
    assert listed(lab, "-A") == ["manual", "c", "a", "b"]
    assert f"{lab.prefix}-a 3\n" in lab.ok("autostart", "-L")
    rows = json.loads(lab.ok("autostart", "-L", "--json"))
    assert [(row["name"][-1], row["order"], row["delay"]) for row in rows] == [("c", 1, 0), ("a", 2, 3), ("b", 2, 0)]


def test_they_start_in_order_and_stop_backwards(any_lab: Lab) -> None:
    lab = any_lab
    names = [auto(lab, label, f"lxc.start.order = {order}") for order, label in enumerate("zyx")]
    lab.ok("autostart")
    assert all(lab.state(name)["state"] == "RUNNING" for name in names)
    assert log(lab) == ["+ z", "+ y", "+ x"]
    lab.ok("autostart")  # what runs is left alone
    assert log(lab) == []
    lab.ok("autostart", "-s", "-t", "5")
    assert log(lab) == ["- x", "- y", "- z"]


def test_those_of_one_order_start_at_once(lab: Lab) -> None:
    """Each hook waits until all have come: one after the other they would never end."""
    for label in "abcd":
        auto(lab, label, f"lxc.hook.pre-start = {lab.path}/meet")
    meet = lab.path / "meet"
    meet.write_text(
        f"#!/bin/sh\ntouch {lab.path}/here-$LXC_NAME\ni=0\n"
        f"while [ $(ls {lab.path}/here-* | wc -l) -lt 4 ]; do sleep 0.05; i=$((i+1)); [ $i -lt 400 ] || exit 1; done\n"
    )
    meet.chmod(0o755)
    lab.ok("autostart")
    assert sorted(log(lab)) == ["+ a", "+ b", "+ c", "+ d"]
    lab.ok("autostart", "-k")


def test_a_delay_keeps_the_next_one_waiting(lab: Lab) -> None:
    auto(lab, "first", "lxc.start.delay = 1")
    auto(lab, "second")
    begin = time.monotonic()
    lab.ok("autostart")
    assert time.monotonic() - begin >= 1
    assert log(lab) == ["+ first", "+ second"]
    lab.ok("autostart", "-k")


@pytest.mark.parametrize("broken", ["lxc.rootfs.path = dir:/no/such", "lxc.no.such = 1"])
def test_one_that_fails_does_not_keep_the_others(lab: Lab, broken: str) -> None:
    bad, good = auto(lab, "bad", broken), auto(lab, "good")
    done = lab.sampan("autostart")
    assert done.returncode == 1 and "bad" in done.stderr
    assert lab.state(good)["state"] == "RUNNING" and lab.state(bad)["state"] == "STOPPED"
    lab.ok("stop", "-k", good)


def test_nothing_to_start_is_no_error(lab: Lab) -> None:
    lab.make("manual")
    assert lab.ok("autostart") == ""
    assert Path(lab.run_dir).exists()
