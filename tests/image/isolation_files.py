"""Checks of isolation rules about files and mounts; isolation_rules.py has the table."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from mounts import tmpfs
from runtime_lab import Lab, Result, make_root

Check = Callable[[Lab], None]


def shell(lab: Lab, name: str, script: str, *options: str) -> Result:
    return lab.sampan("execute", name, *options, "--", "/bin/sh", "-c", script)


# -- the file system


def links_lead_nowhere(lab: Lab) -> None:
    host = lab.path / "host"
    (host / "deep").mkdir(parents=True)
    (host / "file").write_text("kept")
    name = lab.make(
        "links",
        "lxc.mount.entry = tmpfs absolute tmpfs optional 0 0",
        f"lxc.mount.entry = {host} climbing none bind,optional 0 0",
        "lxc.mount.entry = tmpfs made/by/climbing tmpfs create=dir,optional 0 0",
        "lxc.mount.entry = /etc/hostname fileof none bind,create=file,optional 0 0",
    )
    root = lab.root(name)
    (root / "absolute").symlink_to(host / "deep")
    (root / "climbing").symlink_to("../" * 12 + str(host / "deep"))
    (root / "made").symlink_to(host)
    (root / "fileof").symlink_to(host / "newfile")
    done = shell(lab, name, "true")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in host.rglob("*")) == ["deep", "file"]
    mounts = shell(lab, name, "cat /proc/mounts").stdout
    assert str(host) not in mounts and " /deep " not in mounts


def system_folder_is_no_link(place: str, *lines: str) -> Check:
    def check(lab: Lab) -> None:
        host = lab.path / "host"
        host.mkdir()
        name = lab.make("linked", *lines)
        subprocess.run(["rm", "-r", lab.root(name) / place], check=True)
        (lab.root(name) / place).symlink_to(host)
        done = shell(lab, name, "true")
        assert done.returncode == 125 and "link" in done.stderr
        assert list(host.iterdir()) == []

    return check


def console_is_no_link(lab: Lab) -> None:
    victim = lab.path / "victim"
    victim.write_text("kept")
    name = lab.make("console", "lxc.autodev = 0", "lxc.pty.max = 0")
    (lab.root(name) / "dev/console").symlink_to(victim)
    done = shell(lab, name, "echo x > /dev/console")
    assert done.returncode == 125 and "console" in done.stderr
    assert victim.read_text() == "kept"


def image_null_masks_nothing(lab: Lab) -> None:
    """A /dev/null of the image that is a link would be bound on what it should hide."""
    name = lab.make("null", "lxc.mount.auto = proc:mixed", "lxc.autodev = 0", "lxc.pty.max = 0")
    (lab.root(name) / "secret").write_text("found\n")
    (lab.root(name) / "dev/null").symlink_to("/secret")
    done = shell(lab, name, "cat /proc/keys /proc/timer_list; echo end; stat -c %F /proc/keys")
    assert done.stdout == "end\ncharacter special file\n", done.stdout + done.stderr


def proc_is_readonly(lab: Lab) -> None:
    name = lab.make("proc", "lxc.mount.auto = proc:mixed")
    script = "for f in /proc/sys/kernel/core_pattern /proc/irq/default_smp_affinity; do (cat $f >$f); done"
    done = shell(lab, name, script)
    assert done.stderr.count("Read-only file system") == 2, done.stderr


def nothing_lies_over_a_process(lab: Lab) -> None:
    for target in ("proc/self/attr", "proc/1/fd"):
        name = lab.make("fake", "lxc.mount.auto = proc", f"lxc.mount.entry = tmpfs {target} tmpfs ro 0 0")
        done = shell(lab, name, "true")
        assert done.returncode == 125 and "process's files" in done.stderr
        lab.ok("destroy", name)
    name = lab.make("lxcfs", "lxc.mount.auto = proc", "lxc.mount.entry = /etc/hostname proc/meminfo none bind 0 0")
    assert shell(lab, name, "cat /proc/meminfo").stdout == Path("/etc/hostname").read_text()


def readonly_holds_below(lab: Lab) -> None:
    tree = lab.path / "tree"
    tree.mkdir()
    with tmpfs(tree / "sub"):
        name = lab.make("below", f"lxc.mount.entry = {tree} tmp none rbind,ro 0 0")
        done = shell(lab, name, "touch /tmp/x; touch /tmp/sub/x")
        assert done.stderr.count("Read-only file system") == 2, done.stderr


def flags_of_the_host_stay(lab: Lab) -> None:
    tree = lab.path / "tree"
    with tmpfs(tree, "nosuid,nodev,noexec"):
        # A bind mount of its own, so that these are flags of the mount alone.
        name = lab.make("flags", f"lxc.mount.entry = {tree} tmp none bind,ro 0 0")
        options = shell(lab, name, "grep ' /tmp ' /proc/mounts").stdout.split()[3].split(",")
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)


def mounts_stay_inside(lab: Lab) -> None:
    shared = lab.path / "shared"
    with tmpfs(shared):
        subprocess.run(["mount", "--make-shared", shared], check=True)
        make_root(shared / "root")
        name = lab.make(
            "spread",
            f"lxc.rootfs.path = {shared}/root",
            "lxc.mount.entry = tmpfs tmp tmpfs rw 0 0",
            f"lxc.mount.entry = {shared} run none bind 0 0",
            root=False,
        )
        lab.ok("start", name)
        lab.attach(name, "mkdir /run/later && mount -t tmpfs none /run/later; mount -t tmpfs none /root")
        seen = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        lab.ok("stop", "-k", name)
        assert [place for place in seen if place.startswith(f"{shared}/")] == []


def hosts_mounts_are_gone(lab: Lab) -> None:
    name = lab.make("old", "lxc.mount.auto = proc")
    done = shell(lab, name, "cat /proc/self/mountinfo; ls /../../..; umount / ; ls /")
    assert done.returncode == 0, done.stderr
    places = [line.split()[4] for line in done.stdout.splitlines() if " - " in line]
    assert places.count("/") == 1 and not [place for place in places if str(lab.path) in place]
    hosts = {line.split()[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    assert not hosts & {line.split()[0] for line in done.stdout.splitlines() if " - " in line}


def disk_stays_writable(lab: Lab) -> None:
    """busybox's shutdown remounts what it cannot unmount: `/` shares the superblock of the host's disk."""
    disk = lab.path / "disk"
    with tmpfs(disk):
        make_root(disk / "root")
        name = lab.make("disk", f"lxc.rootfs.path = {disk}/root", "lxc.mount.auto = proc", root=False)
        lab.ok("start", name)
        done = lab.attach(name, "mount -o remount,ro /; umount -r /; umount -a -r")
        try:
            (disk / "written").write_text("still")
            lab.ok("stop", name)
            (disk / "written").write_text("still")
        except OSError as error:
            raise AssertionError("the host's disk is read-only") from error
        finally:
            lab.sampan("stop", "-k", name)
        assert "busy" in done.stderr, done.stderr
