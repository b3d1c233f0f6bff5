"""Copies, overlay clones, ephemeral starts, new names and snapshots."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from mounts import tmpfs
from runtime_lab import Lab, need_own_root, wait_for

pytestmark = pytest.mark.both_ways


def describe(top: Path) -> dict[str, tuple[object, ...]]:
    """All that a copy has to keep of each file, hard links by the first name of their file."""
    found, first = {}, dict[int, str]()
    for folder, folders, files in os.walk(top):
        for name in sorted([*folders, *files]):
            path = Path(folder, name)
            place = str(path.relative_to(top))
            info = path.lstat()
            kind = stat.S_IFMT(info.st_mode)
            content = os.readlink(path) if kind == stat.S_IFLNK else path.read_bytes() if kind == stat.S_IFREG else b""
            attributes = {
                key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
            }
            same = first.setdefault(info.st_ino, place) if kind != stat.S_IFDIR else place
            found[place] = (
                info.st_mode,
                info.st_uid,
                info.st_gid,
                info.st_rdev,
                info.st_mtime_ns,
                content,
                attributes,
                same,
            )
    return found


def rich(root: Path) -> None:
    """Everything that is lost by careless copies."""
    (root / "dir with space").mkdir(mode=0o1777)
    os.chown(root / "dir with space", 12, 34)
    (root / "a").write_text("one")
    os.link(root / "a", root / "dir with space/b")
    os.mknod(root / "null", stat.S_IFCHR | 0o620, os.makedev(1, 3))
    os.mknod(root / "whiteout", stat.S_IFCHR, os.makedev(0, 0))
    os.mkfifo(root / "fifo")
    (root / "dangling").symlink_to("/no/such")
    os.setxattr(root / "a", "trusted.overlay.test", b"x\0y")
    (root / "suid").write_text("s")
    os.chown(root / "suid", 99, 99)
    (root / "suid").chmod(0o6755)
    with (root / "sparse").open("wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
        file.truncate(100 << 20)
    os.lchown(root / "dangling", 7, 8)
    os.utime(root / "a", ns=(1, 1_500_000_000_123_456_789))
    os.utime(root / "dir with space", ns=(1, 1_400_000_000_000_000_001))


def config(lab: Lab, name: str) -> str:
    return (lab.lxc / name / "config").read_text()


def other(lab: Lab, label: str) -> str:
    name = f"{lab.prefix}-{label}"
    lab.names.append(name)
    return name


def test_a_copy_keeps_everything_and_runs(lab: Lab) -> None:
    name = lab.make("orig", f"lxc.mount.entry = {lab.path}/x/NAME tmp none bind,optional 0 0")
    text = config(lab, name).replace(f"{lab.path}/x/NAME", f"{lab.lxc}/{name}/share")
    (lab.lxc / name / "config").write_text(text + "# a comment\n")
    (lab.lxc / name / "share").mkdir()
    rich(lab.root(name))
    hostname = lab.root(name) / "etc/hostname"
    copy = other(lab, "copy")
    assert lab.ok("copy", name, "-N", copy) == f"Created container {copy} as copy of {name}\n"
    assert describe(lab.root(copy)) == describe(lab.root(name))
    hostname.write_text(f"{name}\n")
    lab.ok("copy", name, "-N", other(lab, "third"))
    assert (lab.root(f"{lab.prefix}-third") / "etc/hostname").read_text() == f"{lab.prefix}-third\n"
    assert (lab.root(copy) / "sparse").stat().st_blocks < 1000
    assert f"{lab.lxc}/{copy}/share tmp" in config(lab, copy) and "# a comment" in config(lab, copy)
    assert f"{name}/" not in config(lab, copy)
    assert lab.ok("execute", copy, "--", "/bin/hostname") == f"{copy}\n"
    assert not list(lab.lxc.glob(".*"))


def test_host_name_and_macs_are_new_unless_kept(lab: Lab) -> None:
    name = lab.make("same", "lxc.net.0.type = empty", "lxc.net.1.type = veth", "lxc.net.1.hwaddr = 00:16:3e:01:02:03")
    assert lab.sampan("copy", name, "-N", other(lab, "k"), "-M", "-K").returncode == 0
    assert f"lxc.uts.name = {name}" in config(lab, f"{lab.prefix}-k")
    assert "lxc.net.1.hwaddr = 00:16:3e:01:02:03" in config(lab, f"{lab.prefix}-k")
    lab.ok("copy", name, "-N", other(lab, "n"))
    mac = re.search(r"lxc.net.1.hwaddr = (00:16:3e:[0-9a-f:]{8})\n", config(lab, f"{lab.prefix}-n"))
    assert mac and mac[1] != "00:16:3e:01:02:03"


def test_a_root_elsewhere_comes_along(lab: Lab) -> None:
    name = lab.make("else")
    outside = lab.path / "outside"
    lab.root(name).rename(outside)
    path = lab.lxc / name / "config"
    path.write_text(path.read_text().replace(f"{lab.lxc}/{name}/rootfs", str(outside)))
    copy = other(lab, "elsecopy")
    lab.ok("copy", name, "-N", copy)
    assert f"lxc.rootfs.path = dir:{lab.root(copy)}" in config(lab, copy)
    assert describe(lab.root(copy)) == describe(outside)


def test_an_overlay_clone_and_a_clone_of_it(lab: Lab) -> None:
    need_own_root()
    name = lab.make("base")
    one, two = other(lab, "one"), other(lab, "two")
    lab.ok("copy", "-n", name, "-N", one, "-s")
    lab.ok("execute", one, "--", "/bin/sh", "-c", "echo 1 > /new; rm /bin/wc")
    assert not (lab.root(name) / "new").exists()
    lab.ok("copy", "-n", one, "-N", two, "-s")
    assert lab.ok("execute", two, "--", "/bin/sh", "-c", "cat /new; ls /bin/wc 2> /dev/null; echo 2 >> /new") == "1\n"
    assert lab.ok("execute", one, "--", "/bin/cat", "/new") == "1\n"
    failed = lab.sampan("destroy", name)
    assert failed.returncode == 1 and one in failed.stderr
    for gone in (two, one, name):
        lab.ok("destroy", gone)


@pytest.mark.parametrize("how", ["-s", "-e"])
def test_lines_of_an_ordinary_configuration_stay_as_they_are(lab: Lab, how: str) -> None:
    """Comments, empty lines, keys, and paths: what those name is not copied, so they are no others' either."""
    need_own_root()
    lines = ("", "# ours", "lxc.tty.max = 2", "  lxc.environment  =  A=b c", f"lxc.environment = P={lab.lxc}")
    name = lab.make("lines", *lines)
    path = lab.lxc / name / "config"
    path.write_text(f"{path.read_text()}lxc.environment = OWN={lab.lxc}/{name}/own:{lab.lxc}/{name}\n")
    command = lab.command("copy", name, "-N", other(lab, "copy"), how)
    subprocess.run(command, env=lab.environment(), timeout=30, check=True)
    own = ("lxc.rootfs.path", "lxc.uts.name")
    kept = [line for line in config(lab, name).splitlines() if not line.startswith(own)]
    assert set(kept) <= set(config(lab, f"{lab.prefix}-copy").splitlines())
    lab.sampan("stop", "-k", f"{lab.prefix}-copy")


@pytest.mark.parametrize("where", [(), ("-t",)], ids=["disk", "tmpfs"])
def test_an_ephemeral_start_leaves_nothing(lab: Lab, where: tuple[str, ...]) -> None:
    need_own_root()
    name = lab.make("eph", "# its own", "lxc.tty.max = 2")
    before = describe(lab.root(name))
    said = lab.ok("copy", name, "-e", *where)
    clone = re.fullmatch(rf"Created ({name}_[0-9a-f]+) as clone of {name}\n", said)
    assert clone
    lab.names.append(clone[1])
    assert lab.state(clone[1])["state"] == "RUNNING"
    assert "# its own\nlxc.tty.max = 2\n" in (lab.lxc / clone[1] / "config").read_text()
    assert lab.attach(clone[1], "echo x > /written; hostname").stdout == f"{clone[1]}\n"
    lab.ok("stop", "-k", clone[1])
    assert not (lab.lxc / clone[1]).exists()
    assert describe(lab.root(name)) == before


def test_keep_data_keeps_an_ephemeral_one(lab: Lab) -> None:
    need_own_root()
    name, clone = lab.make("keep"), other(lab, "kept")
    lab.ok("copy", name, "-e", "-D", "-N", clone)
    lab.attach(clone, "echo x > /written")
    lab.ok("stop", "-k", clone)
    assert (lab.lxc / clone / "delta0/written").read_text() == "x\n"


def test_a_new_name(lab: Lab) -> None:
    name, new = lab.make("old"), other(lab, "new")
    content = describe(lab.root(name))
    lab.ok("copy", name, "-N", new, "-R")
    assert not (lab.lxc / name).exists() and describe(lab.root(new)) == content
    assert lab.ok("execute", new, "--", "/bin/hostname") == f"{new}\n"


def test_what_cannot_be_copied(lab: Lab) -> None:
    name, there = lab.make("run"), lab.make("there")
    lab.ok("start", name)
    for words in (("-N", "x"), ("-N", "x", "-R")):
        assert "is running" in lab.sampan("copy", name, *words).stderr
    lab.ok("stop", "-k", name)
    assert "exists already" in lab.sampan("copy", name, "-N", there).stderr
    assert "-N is missing" in lab.sampan("copy", name).stderr
    assert "not defined" in lab.sampan("copy", "nosuch", "-N", "x").stderr
    with tmpfs(lab.root(name) / "tmp"):
        assert "something is mounted on" in lab.sampan("copy", name, "-N", "x").stderr
    assert sorted(path.name for path in lab.lxc.iterdir()) == sorted([name, there])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_copy_is_none(lab: Lab, how: signal.Signals) -> None:
    name, copy = lab.make("cut"), other(lab, "cutcopy")
    for n in range(3000):
        (lab.root(name) / f"file{n}").write_text("x" * 1000)
    process = lab.popen("copy", name, "-N", copy, stderr=subprocess.PIPE)
    temporary = lab.lxc / f".{copy}.new"
    wait_for(lambda: (temporary / "rootfs").exists() or process.poll() is not None)
    process.send_signal(how)
    process.wait()
    if process.returncode == 0:
        pytest.skip("the copy was quicker than the signal")
    assert not (lab.lxc / copy).exists() and copy not in lab.ok("ls", "-1")
    assert temporary.exists() == (how == signal.SIGKILL)
    lab.ok("copy", name, "-N", copy)  # the left-over is no obstacle
    assert not temporary.exists() and (lab.root(copy) / "file2999").exists()


def test_clone_hooks_and_their_failure(lab: Lab) -> None:
    log = lab.path / "log"
    name = lab.make("hook", f"lxc.hook.clone = sh -c 'echo $* $LXC_NAME $LXC_SRC_NAME $LXC_ROOTFS_PATH > {log}' sh")
    copy = other(lab, "hooked")
    lab.ok("copy", name, "-N", copy, "--", "more", "args")
    assert log.read_text() == f"{copy} lxc clone more args {copy} {name} {lab.root(copy)}\n"
    bad = lab.make("badhook", "lxc.hook.clone = false")
    failed = lab.sampan("copy", bad, "-N", "never")
    assert failed.returncode == 1 and "lxc.hook.clone = false: exit code 1" in failed.stderr
    assert not (lab.lxc / "never").exists() and not list(lab.lxc.glob(".*"))


# -- snapshots


def test_snapshots_come_back(lab: Lab, tmp_path: Path) -> None:
    name = lab.make("snap", "lxc.environment = A=1")
    rich(lab.root(name))
    comment = tmp_path / "comment"
    comment.write_text("before the upgrade\n")
    content, text = describe(lab.root(name)), config(lab, name)
    assert lab.ok("snapshot", name, "-L") == "No snapshots\n"
    lab.ok("snapshot", name, "-c", comment)
    (lab.root(name) / "a").write_text("two")
    (lab.lxc / name / "config").write_text(text.replace("A=1", "A=2"))
    lab.ok("snapshot", name)
    lines = lab.ok("snapshot", name, "-L", "-C").splitlines()
    assert re.fullmatch(rf"snap0 \({lab.lxc}/{name}/snaps\) \d{{4}}:\d\d:\d\d \d\d:\d\d:\d\d", lines[0])
    assert lines[1] == "before the upgrade" and lines[2].startswith("snap1 ")
    rows = json.loads(lab.ok("snapshot", name, "-L", "--json"))
    assert [(row["name"], row["comment"]) for row in rows] == [("snap0", "before the upgrade\n"), ("snap1", None)]
    lab.ok("snapshot", name, "-r", "snap0")
    assert describe(lab.root(name)) == content and config(lab, name) == text
    assert [row["name"] for row in json.loads(lab.ok("snapshot", name, "-L", "--json"))] == ["snap0", "snap1"]
    new = other(lab, "restored")
    lab.ok("snapshot", name, "-r", "snap1", "-N", new)
    assert (lab.root(new) / "a").read_text() == "two"
    assert lab.ok("execute", new, "--", "/bin/sh", "-c", "hostname; echo $A") == f"{new}\n2\n"
    lab.ok("snapshot", name, "-d", "snap0")
    assert len(json.loads(lab.ok("snapshot", name, "-L", "--json"))) == 1
    assert "-s deletes them" in lab.sampan("destroy", name).stderr
    lab.ok("destroy", "-s", name)
    assert not (lab.lxc / name).exists()


def test_all_snapshots_go_at_once(lab: Lab) -> None:
    name = lab.make("all")
    for _ in range(3):
        lab.ok("snapshot", name)
    lab.ok("snapshot", name, "-d", "ALL")
    assert json.loads(lab.ok("snapshot", name, "-L", "--json")) == []
    lab.ok("destroy", name)


def test_snapshots_that_are_refused(lab: Lab) -> None:
    name = lab.make("no")
    assert "there is no snapshot snap3" in lab.sampan("snapshot", name, "-r", "snap3").stderr
    assert "is no snapshot" in lab.sampan("snapshot", name, "-d", "../..").stderr
    lab.ok("start", name)
    assert "is running" in lab.sampan("snapshot", name).stderr
    lab.ok("stop", "-k", name)
    path = lab.lxc / name / "config"
    path.write_text(path.read_text().replace(f"dir:{lab.lxc}/{name}/rootfs", "dir:/bin"))
    assert "lies outside" in lab.sampan("snapshot", name).stderr


def test_the_copy_of_a_copy_in_progress_waits_for_nobody(lab: Lab) -> None:
    """Two copies to one name: one wins, the other says so."""
    name, copy = lab.make("race"), other(lab, "racecopy")
    for n in range(500):
        (lab.root(name) / f"file{n}").write_text("x" * 1000)
    both = [lab.popen("copy", name, "-N", copy, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    codes = sorted(process.wait() for process in both)
    assert codes == [0, 1]
    time.sleep(0)
    assert (lab.root(copy) / "file499").exists() and not list(lab.lxc.glob(".*"))
