"""State files on a full disk, cut, made up, of somebody else, not writable: a clear word or a clean recovery."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounts import tmpfs
from runtime_lab import Lab, gone, wait_for

pytestmark = pytest.mark.both_ways

STATES = {"STOPPED", "STARTING", "RUNNING", "STOPPING", "ABORTING", "FREEZING", "FROZEN", "THAWED"}


@pytest.fixture
def running(lab: Lab) -> Iterator[str]:
    """A container whose supervisor is gone: only the files tell of it."""
    name = lab.make("state", "lxc.cgroup.devices.deny = a", "lxc.cgroup.devices.allow = c 1:3 rw")
    lab.ok("start", name)
    state = lab.state(name)
    os.kill(state["supervisor"], signal.SIGKILL)
    wait_for(lambda: gone(state["supervisor"]))
    yield name
    lab.ok("stop", "-k", name)


def signed(content: bytes) -> bytes:
    """The lines with the sum that the runtime would write (FNV-1a, without the first line)."""
    kept = b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(b"end "))
    value = 2166136261
    for byte in kept[len(b"state 0\n") :]:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return kept + b"end %08x\n" % value


def file_of(lab: Lab, name: str, file: str = "state") -> Path:
    return lab.run_dir / name / file


def test_cut_at_each_byte(lab: Lab, running: str) -> None:
    """Either what it says is what was written, or it is refused; never half of it."""
    file = file_of(lab, running)
    whole = file.read_bytes()
    truth = lab.state(running)
    step = 1 if os.environ.get("SAMPAN_FAULTS") == "1" else 7
    for size in {*range(0, len(whole), step), *range(len(whole) - 5, len(whole))}:
        file.write_bytes(whole[:size])
        for verb in ("info", "stop", "start", "destroy"):
            done = lab.sampan(verb, running)
            assert done.returncode in (1, 2), (size, verb, done)
            assert "damaged" in done.stderr and running in done.stderr, (size, verb, done.stderr)
    file.write_bytes(whole)
    now = lab.state(running)
    assert [now[key] for key in ("state", "pid")] == [truth[key] for key in ("state", "pid")]


def test_other_bytes(lab: Lab, running: str) -> None:
    """What was not written by us is refused, with the right sum, too; nobody else's task is ever signalled."""
    assert signed(file_of(lab, running).read_bytes()) == file_of(lab, running).read_bytes()
    file = file_of(lab, running)
    whole = file.read_bytes()
    bystander = subprocess.Popen(["sleep", "1000"])
    lines = whole.splitlines(keepends=True)
    made_up = [
        os.urandom(400),
        b"",
        b"end\n",
        whole + whole,
        whole.replace(b"\n", b"\0"),
        whole.replace(b"state 2", b"state 8"),
        b"".join(lines[:1] + [b"init %d 1\n" % bystander.pid] + lines[2:]),
        signed(whole.replace(b"/sampan/", b"/system/")),
        signed(b"".join(b"net 1 zz\n" if line.startswith(b"net ") else line for line in lines)),
        signed(b"".join(b"net 1 00\n" if line.startswith(b"net ") else line for line in lines)),
        signed(b"".join([lines[0], b"lxcpath " + b"x" * 5000 + b"\n", *lines[1:]])),
        signed(b"".join([lines[0], *[b"cgroup 11 /sys/fs/cgroup/sampan/x\n"] * 40, *lines[1:]])),
        b"x" * 200_000,
    ]
    try:
        for content in made_up:
            file.write_bytes(content)
            for verb in ("info", "stop", "start"):
                done = lab.sampan(verb, running)
                assert done.returncode == 1 and "state file" in done.stderr, (content[:80], done)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        file.write_bytes(whole)


def test_each_byte_another(lab: Lab, running: str) -> None:
    """Refused, or what it was: the state alone, one digit that changes in its place, may be another."""
    file = file_of(lab, running)
    whole = file.read_bytes()
    chance = random.Random(3)
    for _ in range(60):
        place = chance.randrange(len(whole))
        file.write_bytes(whole[:place] + bytes([chance.randrange(256)]) + whole[place + 1 :])
        done = lab.sampan("info", running, "-s", "-H")
        assert done.returncode in (0, 1), done
        if done.returncode == 0:
            assert done.stdout.split()[-1] in STATES, done.stdout
        else:
            assert "damaged" in done.stderr
    file.write_bytes(whole)


@pytest.mark.parametrize("spoil", ["mode", "owner", "link", "file"])
def test_a_folder_that_is_not_ours(lab: Lab, spoil: str) -> None:
    name = lab.make("folder")
    folder = lab.run_dir
    if spoil == "mode":
        folder.chmod(0o770)
    elif spoil == "owner":
        os.chown(folder, 1234, 1234)
    else:
        folder.rename(lab.path / "elsewhere")
        if spoil == "link":
            folder.symlink_to(lab.path / "elsewhere")
        else:
            folder.write_text("")
    for verb in ("start", "info", "stop", "destroy"):
        done = lab.sampan(verb, name)
        assert done.returncode == 1 and str(folder) in done.stderr, (verb, done)
    if spoil in ("link", "file"):
        folder.unlink()
        folder.mkdir(mode=0o700)
    os.chown(folder, 0, 0)
    folder.chmod(0o700)
    lab.ok("execute", name, "--", "/bin/true")


@pytest.fixture
def small(lab: Lab) -> Iterator[Path]:
    """The state folder on a tmpfs of two pages."""
    with tmpfs(lab.run_dir, "size=8k,mode=700") as folder:
        yield folder


def fill(folder: Path) -> None:
    with (folder / ".full").open("wb", buffering=0) as full:
        try:
            while full.write(b"x" * 4096):
                pass
        except OSError:
            return


def others(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name not in (".full", ".console")]


def test_a_full_disk(lab: Lab, small: Path) -> None:
    name = lab.make("full", "lxc.cgroup.devices.deny = a")
    fill(small)
    for verb, words, code in (("start", (), 1), ("execute", ("--", "/bin/true"), 125)):
        done = lab.sampan(verb, name, *words)
        assert done.returncode == code and "No space left" in done.stderr, done
        assert others(small) == []
    (small / ".full").unlink()
    lab.ok("start", name)
    fill(small)
    assert lab.state(name)["state"] == "RUNNING"
    lab.ok("freeze", name)
    assert lab.state(name)["state"] == "FROZEN"
    lab.ok("unfreeze", name)
    lab.ok("stop", "-k", name)
    (small / ".full").unlink()
    shutil.rmtree(small / ".console", ignore_errors=True)


def test_a_folder_that_cannot_be_written(lab: Lab, small: Path) -> None:
    name = lab.make("readonly")
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    for verb, words, code in (("start", (), 1), ("execute", ("--", "/bin/true"), 125)):
        done = lab.sampan(verb, name, *words)
        assert done.returncode == code and "Read-only file system" in done.stderr, done
    assert lab.state(name)["state"] == "STOPPED"
    subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    lab.ok("execute", name, "--", "/bin/true")
    shutil.rmtree(small / ".console", ignore_errors=True)
