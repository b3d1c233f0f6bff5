"""Hooks at all stages, with LXC's arguments, variables and namespaces."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from runtime_lab import Lab, gone, wait_for

pytestmark = pytest.mark.both_ways

STAGES = ("pre-start", "pre-mount", "mount", "autodev", "start-host", "start", "stop", "post-stop")
RECORD = """#!/bin/sh
echo "$LXC_HOOK_TYPE|$*|$LXC_NAME|$LXC_ROOTFS_PATH|$LXC_HOOK_VERSION|$LXC_TARGET|$(readlink /proc/self/ns/mnt)" >> {log}
"""


def recorder(lab: Lab, name: str) -> tuple[Path, Path]:
    """A hook that notes how it was called, here and at the same path in the container; and its notes."""
    log = lab.path / "log"
    hook = lab.path / "hook"
    for place in (hook, lab.root(name) / str(hook)[1:]):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(RECORD.format(log=log))
        place.chmod(0o755)
    return hook, log


def configure(lab: Lab, name: str, *lines: str) -> None:
    config = lab.lxc / name / "config"
    config.write_text(config.read_text() + "".join(f"{line}\n" for line in lines))


def fields(log: Path) -> list[list[str]]:
    return [line.split("|") for line in log.read_text().splitlines()]


def test_every_stage_in_order_and_where_it_belongs(any_lab: Lab) -> None:
    lab = any_lab
    name = lab.make("stages", "lxc.mount.auto = proc")
    hook, log = recorder(lab, name)
    configure(lab, name, *(f"lxc.hook.{stage} = {hook} extra" for stage in STAGES))
    lab.ok("start", name)
    inside = lab.root(name) / str(log)[1:]
    wait_for(inside.exists)
    lab.ok("stop", "-k", name)
    rows = fields(log)
    assert [row[0] for row in rows] == [stage for stage in STAGES if stage != "start"]
    host = os.readlink("/proc/self/ns/mnt")
    here = {"pre-start", "start-host", "stop", "post-stop"}
    for stage, args, called, rootfs, version, target, mnt in rows:
        assert args.startswith(f"extra {name} lxc {stage}")
        assert (called, rootfs, version) == (name, str(lab.root(name)), "0")
        assert (mnt == host) == (stage in here), stage
        assert target == ("stop" if stage in ("stop", "post-stop") else "")
    assert "mnt:/proc/" in next(row[1] for row in rows if row[0] == "stop")
    # The start hook is the container's own file and writes in its root file system.
    assert [row[0] for row in fields(inside)] == ["start"]


def test_version_1_has_no_arguments(lab: Lab) -> None:
    name = lab.make("version")
    hook, log = recorder(lab, name)
    configure(lab, name, "lxc.hook.version = 1", f"lxc.hook.pre-start = {hook}")
    lab.ok("execute", name, "--", "/bin/true")
    assert fields(log)[0][:2] == ["pre-start", ""] and fields(log)[0][4] == "1"


def test_variables_for_hooks_and_for_the_container(lab: Lab) -> None:
    name = lab.make(
        "env",
        "lxc.environment = BOTH=1",
        "lxc.environment.runtime = RUN=1",
        "lxc.environment.hooks = HOOK=1",
        f"lxc.hook.pre-start = sh -c 'env > {lab.path}/env'",
    )
    inside = lab.ok("execute", name, "--", "/bin/env").splitlines()
    outside = (lab.path / "env").read_text().splitlines()
    assert {"BOTH=1", "RUN=1"} <= set(inside) and "HOOK=1" not in inside
    assert {"BOTH=1", "HOOK=1"} <= set(outside) and "RUN=1" not in outside


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("stop", "post-stop")])
def test_a_failing_hook_fails_the_start_and_post_stop_still_runs(any_lab: Lab, stage: str) -> None:
    lab = any_lab
    name = lab.make("fail")
    configure(lab, name, f"lxc.hook.{stage} = /bin/sh -c 'exit 3'", f"lxc.hook.post-stop = touch {lab.path}/ended #")
    failed = lab.sampan("start", name)
    assert failed.returncode == 1
    assert f"lxc.hook.{stage} = /bin/sh -c 'exit 3': exit code 3" in failed.stderr
    assert (lab.path / "ended").exists()


def test_the_mount_hook_sees_the_root_and_mounts_for_the_container_alone(lab: Lab) -> None:
    name = lab.make("mount")
    configure(lab, name, "lxc.hook.mount = sh -c 'mount -t tmpfs -o mode=751 none $LXC_ROOTFS_MOUNT/tmp #'")
    assert lab.ok("execute", name, "--", "/bin/stat", "-c", "%a", "/tmp") == "751\n"


def test_what_pre_mount_mounts_does_not_reach_the_host(lab: Lab) -> None:
    name = lab.make("premount")
    place = lab.path / "place"
    place.mkdir()
    configure(
        lab, name, f"lxc.hook.pre-mount = mount -t tmpfs none {place} #",
        f"lxc.mount.entry = {place} tmp none bind 0 0",
    )  # fmt: skip
    inside = lab.ok("execute", name, "--", "/bin/sh", "-c", "mount -t proc p /proc; cat /proc/mounts")
    assert " /tmp tmpfs " in inside
    assert str(place) not in Path("/proc/mounts").read_text()


def test_a_start_hook_has_no_more_rights_than_the_container(lab: Lab) -> None:
    name = lab.make("caps", "lxc.cap.keep = chown kill", "lxc.mount.auto = proc")
    configure(lab, name, "lxc.hook.start = sh -c 'grep CapEff /proc/self/status > /tmp/caps #'")
    lab.ok("execute", name, "--", "/bin/true")
    assert int((lab.root(name) / "tmp/caps").read_text().split()[1], 16) == 0x21


def test_post_stop_runs_once_when_the_supervisor_was_killed(lab: Lab) -> None:
    name = lab.make("killed", f"lxc.hook.post-stop = sh -c 'echo x >> {lab.path}/ended #'")
    for clean_up in (("stop", "-k", name), ("start", name)):
        (lab.path / "ended").unlink(missing_ok=True)
        lab.ok("start", name)
        state = lab.state(name)
        os.kill(state["supervisor"], signal.SIGKILL)
        wait_for(lambda pid=state["supervisor"]: gone(pid))  # type: ignore[misc]
        if clean_up[0] == "start":
            os.kill(state["pid"], signal.SIGKILL)
            wait_for(lambda pid=state["pid"]: gone(pid))  # type: ignore[misc]
        lab.ok(*clean_up)
        assert (lab.path / "ended").read_text() == "x\n"
    lab.ok("stop", "-k", name)
    assert (lab.path / "ended").read_text() == "x\nx\n"


def test_a_restart_runs_them_again(lab: Lab) -> None:
    name = lab.make("again")
    configure(
        lab, name, f"lxc.hook.pre-start = sh -c 'echo pre >> {lab.path}/log #'",
        f"lxc.hook.post-stop = sh -c 'echo post $LXC_TARGET >> {lab.path}/log #'",
    )  # fmt: skip
    lab.ok("start", name)
    lab.ok("stop", "-r", name)
    wait_for(lambda: (lab.path / "log").read_text().count("pre") == 2)
    wait_for(lambda: lab.state(name)["state"] == "RUNNING")
    lab.ok("stop", "-k", name)
    assert (lab.path / "log").read_text().split("\n") == ["pre", "post reboot", "pre", "post stop", ""]


def test_an_ephemeral_container_is_gone_after_its_end(lab: Lab) -> None:
    name = lab.make("gone", "lxc.ephemeral = 1", f"lxc.hook.destroy = touch {lab.path}/destroyed #")
    lab.ok("execute", name, "--", "/bin/true")
    assert not (lab.lxc / name).exists() and (lab.path / "destroyed").exists()
