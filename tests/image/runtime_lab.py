"""Containers on this host: the real binary, a busybox root, and what must be left behind (nothing)."""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import generated
import pytest

from sampan.build import texts
from sampan.core import paths
from sampan.core.run import run

RUNTIME = paths.ROOT / "runtime"
BUSYBOX = Path("/bin/busybox")
CGROUPS = Path("/sys/fs/cgroup")
APPLETS = [
    "sh",
    "ls",
    "cat",
    "echo",
    "true",
    "false",
    "mount",
    "umount",
    "ps",
    "sleep",
    "hostname",
    "mknod",
    "dd",
    "id",
    "env",
    "stat",
    "kill",
    "test",
    "tty",
    "grep",
    "head",
    "touch",
    "readlink",
    "ln",
    "rm",
    "mkdir",
    "wc",
    "od",
    "chmod",
    "poweroff",
    "reboot",
    "sync",
    "trap",
]

#: Each switch of SAMPAN_DISABLE, that is every fallback for an old kernel.
ALL_OFF = (
    "clone3,openat2,open_tree,mount_setattr,pidfd,close_range,cgroup_kill,cgroup_ns,ptpeer,setns_pidfd,loop_configure"
    ",set_mm"
)
#: Of these, what mounts with the ids of a container are made by.
IDMAPPED = ("open_tree", "mount_setattr")

Result = subprocess.CompletedProcess[str]
_serial = itertools.count()


def need_host() -> None:
    """Skips, with the reason, where containers cannot be run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not BUSYBOX.exists():
        pytest.skip("needs a static busybox (apt-get install busybox-static)")
    if not any(line.split()[2].startswith("cgroup") for line in Path("/proc/mounts").read_text().splitlines()):
        pytest.skip("needs cgroups mounted")


def need_own_root() -> None:
    """Skips below a chroot: the runtime mounts images and overlays by paths of its namespace's root."""
    need_host()
    if namespace_root() != "{0.st_dev} {0.st_ino}".format(os.stat("/")):
        pytest.skip("needs a root that is no chroot")


@functools.cache
def namespace_root() -> str:
    """Device and inode of the root of this process's mount namespace, whatever it was chrooted to."""
    argv = ["nsenter", "-t", str(os.getpid()), "-m", "stat", "-c", "%d %i", "/"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def build_runtime(folder: Path) -> Path:
    """The runtime as the image has it: static, musl, by zig."""
    generated.write(folder / "gen")
    texts.pack_sources(sorted((RUNTIME / "src").glob("*.c")), folder / "texts")
    out = folder / "sampan"
    flags = ["-target", f"{os.uname().machine}-linux-musl", "-std=c11", "-Os", "-D_GNU_SOURCE", "-static", "-s"]
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wformat=2", "-Werror"]
    sources = sorted((folder / "texts").glob("*.c"))
    includes = [f"-I{path}" for path in (folder / "texts", folder / "gen", RUNTIME / "src/libc", RUNTIME / "src")]
    argv = [*flags, *texts.CFLAGS.split(), *warnings, *includes]
    run([sys.executable, "-m", "ziglang", "cc", *argv, *sources, "-o", out])
    return out


def make_root(root: Path) -> None:
    """A root file system of one busybox; init runs a sleep, so that it is not alone."""
    for name in ("bin", "sbin", "etc", "proc", "sys", "dev/pts", "tmp", "root", "run"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "sbin/init").symlink_to("../bin/busybox")
    (root / "etc/inittab").write_text("::respawn:/bin/sleep 1000\n::ctrlaltdel:/bin/reboot\n")


def wait_for(what: Callable[[], bool], seconds: float = 20) -> None:
    """Polls until `what` holds. The time is a generous limit, not a measurement."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """No such process, or only what its new parent has not reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def cgroup_leftovers(name: str) -> list[str]:
    return [str(path) for path in CGROUPS.glob(f"*/sampan/{name}")] + [str(p) for p in CGROUPS.glob(f"sampan/{name}")]


@dataclass
class Lab:
    """One test's containers: `path` is LXCPATH, `env` is added to the runtime's environment."""

    binary: Path
    path: Path
    prefix: str
    env: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.path / "run").mkdir(parents=True)
        (self.path / "run").chmod(0o700)
        self.lxc.mkdir()

    @property
    def lxc(self) -> Path:
        return self.path / "lxc"

    @property
    def run_dir(self) -> Path:
        return self.path / "run"

    def root(self, name: str) -> Path:
        return self.lxc / name / "rootfs"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SAMPAN_RUN": str(self.run_dir), **self.env}

    @property
    def off(self) -> set[str]:
        """The newer system calls that the runtime does without, here or in the whole run ($SAMPAN_DISABLE)."""
        return set(self.environment().get("SAMPAN_DISABLE", "").split(","))

    def command(self, verb: str, *words: str | Path) -> list[str]:
        takes_path = verb not in ("checkconfig", "config", "update-config")
        return [str(self.binary), verb, *(["-P", str(self.lxc)] if takes_path else []), *map(str, words)]

    def sampan(self, verb: str, *words: str | Path, stdin: str = "") -> Result:
        """Runs a verb; its output is captured, a hanging one fails the test."""
        return subprocess.run(
            self.command(verb, *words), env=self.environment(), input=stdin, text=True, capture_output=True, timeout=120
        )

    def ok(self, verb: str, *words: str | Path) -> str:
        done = self.sampan(verb, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def popen(self, verb: str, *words: str | Path, **more: Any) -> subprocess.Popen[bytes]:
        """A verb that stays; it is killed when the test ends."""
        process = subprocess.Popen(self.command(verb, *words), env=self.environment(), **more)
        self.processes.append(process)
        return process

    def make(self, label: str, *lines: str, root: bool = True) -> str:
        """A container with a busybox root; its name."""
        name = f"{self.prefix}-{label}"
        self.names.append(name)
        self.ok("create", name)
        if root:
            make_root(self.root(name))
        config = self.lxc / name / "config"
        config.write_text(config.read_text() + "".join(f"{line}\n" for line in lines))
        return name

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("info", name, "--json"))
        return found

    def attach(self, name: str, script: str, *options: str) -> Result:
        return self.sampan("attach", name, *options, "--", "/bin/sh", "-c", script)

    def left_behind(self) -> list[str]:
        """What a stopped container may not leave: cgroups, state, mounts, processes."""
        # What a console showed last is kept on purpose.
        found = [str(path) for path in self.run_dir.iterdir() if path.name != ".console"]
        for name in self.names:
            found += cgroup_leftovers(name)
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.lxc) in line]
        return found

    def close(self) -> None:
        for name in self.names:
            self.sampan("stop", "-k", name)
        for process in self.processes:
            process.kill()
            process.wait()
        for line in Path("/proc/mounts").read_text().splitlines():
            if str(self.lxc) in line.split()[1]:
                subprocess.run(["umount", "-l", line.split()[1]], check=False)


def run_lab(binary: Path, folder: Path, env: dict[str, str]) -> Iterator[Lab]:
    """A lab of a test's own environment; it must end with its containers stopped: that is checked."""
    lab = Lab(binary, folder / "lab", f"t{os.getpid()}n{next(_serial)}", env)
    try:
        yield lab
        left = lab.left_behind()
    finally:
        lab.close()
    assert left == [], "the test's containers left something behind"
