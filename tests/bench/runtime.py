"""The runtime's bars: its commands against the least a kernel needs, and against LXC, crun and runc.

    python -m tests.bench.runtime [--rounds N] [--layout v2|v1|host] [--crowd N]

Needs root and a built runtime (`./sampanw build`); peers (apt-get install lxc crun runc strace) are
left out with the reason when they are missing or fail. All commands of one table run in turn; a
ratio is the median of the ratios of the rounds. Each layout has a mount namespace of its own, with
a tmpfs on /run as every target has it: "v2" has nothing but cgroup v2, "v1" no v2, "host" is what
this system mounts. docs/bench.md tells how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sampan.core import paths
from tests.bench.timing import Command, compile_for, in_turn, limit, table

sys.path.insert(0, str(paths.ROOT / "tests/support"))  # as pytest does for the lab
from tests.bench.crowd import COUNT, crowd
from tests.image.runtime_lab import CGROUPS, make_root, need_host

DEVICES = ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2")
CAPABILITIES = ("kill", "net_bind_service", "audit_write")
NAME = f"bench{os.getpid()}"
#: What makes each layout, in a mount namespace of its own.
LAYOUTS = {
    "v2": "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup",
    "v1": "{ umount /sys/fs/cgroup/unified 2>/dev/null || true; }",
    "host": "true",
}
#: Others of this machine shall not come between; who enters a v1 cpu group may not be that urgent.
URGENT, NICE = ("/usr/bin/chrt", "-f", "10"), ("/usr/bin/nice", "-n", "-20")


def app_config(root: str, layout: str) -> list[str]:
    """The floor's set: its mounts and masks, device list and capabilities, and no filter of system calls."""
    key = "lxc.cgroup2.devices" if layout == "v2" else "lxc.cgroup.devices"
    return [
        f"lxc.rootfs.path = dir:{root}",
        "lxc.mount.auto = proc:mixed sys:ro",
        "lxc.no_new_privs = 1",
        f"lxc.cap.keep = {' '.join(CAPABILITIES)}",
        f"{key}.deny = a",
        *(f"{key}.allow = c {number} rwm" for number in DEVICES),
    ]


NO_FILTER = "lxc.seccomp.profile = none"


@dataclass
class Bench:
    """A folder with one root file system, and each runtime's configuration for it."""

    work: Path
    binary: Path
    layout: str
    rounds: int

    @property
    def root(self) -> Path:
        return self.work / "rootfs"

    @property
    def lxc(self) -> Path:
        return self.work / "lxc"

    def sampan(self, verb: str, *words: str, name: str = NAME) -> list[str]:
        return [str(self.binary), verb, "-P", str(self.lxc), name, *words]

    def peer(self, tool: str, *words: str) -> list[str]:
        return [shutil.which(tool) or tool, "-P", str(self.work / "peer"), "-n", NAME, *words]

    def prepare(self) -> None:
        make_root(self.root)
        readonly = self.work / "readonly"  # where it lies in a squashfs image, and needs no protection
        readonly.mkdir()
        shutil.copy2(self.binary, readonly)
        for how in (["--bind"], ["-o", "remount,bind,ro"]):
            subprocess.run(["mount", *how, readonly, readonly], check=True)
        target = f"{platform.machine()}-linux-musl"
        for source in ("floor.c", "turns.c"):
            compile_for(target, source, self.work / source[:-2])
        lines = app_config(str(self.root), self.layout)
        self.write(f"lxc/{NAME}/config", [f"lxc.uts.name = {NAME}", *lines, NO_FILTER])
        self.write(f"lxc/{NAME}f/config", [f"lxc.uts.name = {NAME}", *lines])
        # Busybox's init wants its capabilities, and both shall have the same container.
        system = [line for line in lines if not line.startswith(("lxc.cap", "lxc.no_new"))]
        self.write(f"lxc/{NAME}s/config", [f"lxc.uts.name = {NAME}", *system])
        self.write(f"peer/{NAME}/config", [f"lxc.uts.name = {NAME}", *lines, "lxc.tty.max = 0"])
        os.environ["SAMPAN_CGROUP_ROOT"] = str(CGROUPS)  # not the mounts of some chroot elsewhere
        for tool in ("crun", "runc"):
            if shutil.which(tool):
                self.bundle(tool)

    def write(self, name: str, lines: list[str]) -> None:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))

    def bundle(self, tool: str) -> None:
        """The same namespaces, mounts, capabilities and device list, no other masks."""
        folder = self.work / tool
        folder.mkdir()
        subprocess.run([tool, "spec"], cwd=folder, check=True)
        spec = json.loads((folder / "config.json").read_text())
        caps = [f"CAP_{name.upper()}" for name in CAPABILITIES]
        spec["root"] = {"path": str(self.root), "readonly": False}
        spec["process"] |= {"terminal": False, "args": ["/bin/true"], "noNewPrivileges": True}
        spec["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), caps)
        wanted = ("/proc", "/dev", "/dev/pts", "/dev/shm", "/sys")
        spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] in wanted]
        rules: list[dict[str, object]] = [{"allow": False, "access": "rwm"}]
        for number in DEVICES:
            major, minor = map(int, number.split(":"))
            rules.append({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"})
        spec["linux"] |= {"maskedPaths": [], "readonlyPaths": ["/proc/sys"], "resources": {"devices": rules}}
        if tool == "crun" and self.layout == "v2":
            del spec["linux"]["resources"]  # there Debian's insists on a limit it may not set
        (folder / "config.json").write_text(json.dumps(spec))

    def in_turn(self, commands: list[Command], rounds: int, prefix: tuple[str, ...] = NICE) -> None:
        in_turn(self.work / "turns", commands, rounds, prefix)

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(self.binary), verb, "-P", str(self.lxc), *words]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)

    # ---- the tables ----

    def floor_argv(self) -> list[str]:
        how, where = ("v2", CGROUPS) if self.layout == "v2" else ("v1", CGROUPS / "devices")
        return [str(self.work / "floor"), how, f"{where}/{NAME}n{{n}}", str(self.root), "/bin/true"]

    def executes(self) -> list[Command]:
        execute = self.sampan("execute", "--", "/bin/true")
        return [
            Command("sampan execute", execute),
            Command("  with the default filter", self.sampan("execute", "--", "/bin/true", name=f"{NAME}f")),
            Command("  on a read-only mount", [str(self.work / "readonly/sampan"), *execute[1:]]),
        ]

    def exits(self) -> None:
        commands = [Command("floor", self.floor_argv()), *self.executes()]
        self.in_turn(commands, self.rounds, URGENT)
        table(f"start to exit of /bin/true, cgroups {self.layout}", commands, {"sampan execute": 1.25})
        free = ["--cgroup-manager=disabled"] if self.layout == "v2" else []
        peers = [
            Command("lxc-execute", self.peer("lxc-execute", "--", "/bin/true")),
            Command("crun run", [shutil.which("crun") or "crun", *free, "run", "-b", f"{self.work}/crun", "cb{n}"]),
            Command("runc run", [shutil.which("runc") or "runc", "run", "-b", f"{self.work}/runc", "rb{n}"]),
        ]
        ours = self.executes()
        self.in_turn([*peers, *ours], self.rounds, URGENT if self.layout == "v2" else NICE)
        for peer, bar in zip(peers, (0.2, 0.45, 0.2), strict=True):
            table(f"the same against {peer.name}{' without cgroups' * (free != [] and 'crun' in peer.name)}",
                  [peer, *ours], {ours[0].name: bar})  # fmt: skip

    def cycles(self) -> None:
        """start until RUNNING and stop -k; each is the other's preparation."""
        ours = Command("sampan start", self.sampan("start"), self.sampan("stop", "-k"))
        peer = Command("lxc-start", self.peer("lxc-start", "-d"), self.peer("lxc-stop", "-k"))
        self.in_turn([peer, ours], self.rounds)
        table("start until RUNNING, system container", [peer, ours], {ours.name: 1 / 3})
        ours = Command("sampan stop", self.sampan("stop", "-k"), self.sampan("start"))
        peer = Command("lxc-stop", self.peer("lxc-stop", "-k"), self.peer("lxc-start", "-d"))
        for command in (ours, peer):
            subprocess.run(command.after, check=False, capture_output=True)
        self.in_turn([peer, ours], self.rounds)
        for command in (ours, peer):
            subprocess.run(command.argv, check=False, capture_output=True)
        table("stop -k, system container", [peer, ours], {ours.name: 0.5})

    def boot(self) -> None:
        """Eight containers started one after the other by lxc-autostart, at once by ours."""
        folder = self.work / "auto"
        for number in range(8):
            text = (
                (self.work / f"peer/{NAME}/config").read_text().replace(f"uts.name = {NAME}", f"uts.name = a{number}")
            )
            self.write(f"auto/{NAME}a{number}/config", [*text.splitlines(), "lxc.start.auto = 1"])
        ours = [str(self.binary), "autostart", "-P", str(folder)]
        peer = [shutil.which("lxc-autostart") or "lxc-autostart", "-P", str(folder)]
        pair = [Command("lxc-autostart", peer, [*peer, "-k"]), Command("sampan autostart", ours, [*ours, "-k"])]
        self.in_turn(pair, max(self.rounds // 4, 3))
        table("8 containers autostarted", pair, {"sampan autostart": 1 / 3})

    def running(self) -> None:
        """attach, freeze, what the supervisor holds, and clean stops of busybox's init."""
        name = f"{NAME}s"
        subprocess.run(self.sampan("start", name=name), check=True)
        state = json.loads(self.run("info", name, "--json").stdout)
        enter = [shutil.which("nsenter") or "nsenter", "-t", str(state["pid"])]
        pair = [
            Command("nsenter", [*enter, "-m", "-u", "-i", "-n", "-p", "-C", "/bin/true"]),
            Command("sampan attach", self.sampan("attach", "--", "/bin/true", name=name)),
        ]
        self.in_turn(pair, self.rounds)
        table(f"attach, cgroups {self.layout} (nsenter joins none, drops nothing)", pair, {"sampan attach": 1.25})
        freeze = Command("freeze", self.sampan("freeze", name=name), self.sampan("unfreeze", name=name))
        self.in_turn([freeze], self.rounds)
        proc = Path(f"/proc/{state['supervisor']}")
        rollup = dict(line.split(":", 1) for line in (proc / "smaps_rollup").read_text().splitlines()[1:])
        print(f"\nsystem container, cgroups {self.layout}")
        # File pages are the program itself: there once, however many containers run.
        limit("private memory of its supervisor", int(rollup["Anonymous"].split()[0]), 150, "kB")
        limit("file descriptors", len(list((proc / "fd").iterdir())), 15)
        limit("freeze", statistics.median(freeze.wall) / 1e3, 20, "ms")
        for title, settle in (("clean stop of busybox init", 0.5), ("the same, right after its start", 0.0)):
            limit(title, self.clean_stops(name, settle), 300, "ms")

    def clean_stops(self, name: str, settle: float) -> float:
        """Median milliseconds of five; the container runs before, and does not behind."""
        taken = []
        for _ in range(5):
            subprocess.run(self.sampan("start", name=name), check=False, capture_output=True)
            time.sleep(settle)
            began = time.perf_counter()
            subprocess.run(self.sampan("stop", name=name), check=True)
            taken.append((time.perf_counter() - began) * 1e3)
        return statistics.median(taken)

    def calls(self) -> None:
        print(f"\nsystem calls with the payload's, cgroups {self.layout}")
        strace = shutil.which("strace")
        if not strace:
            print("  left out: needs strace (apt-get install strace)")
            return
        out = self.work / "calls"
        commands = [Command("floor", self.floor_argv()), *self.executes()]
        for command in commands:
            argv = [word.replace("{n}", "s") for word in command.argv]
            subprocess.run([strace, "-f", "-c", "-o", str(out), *argv], check=True, stdin=subprocess.DEVNULL)
            bar = 200 if command is commands[1] else None
            limit(command.name, int(out.read_text().splitlines()[-1].split()[3]), bar)

    def crowd(self, count: int) -> None:
        names = [f"{NAME}c{number:03}" for number in range(count)]
        text = (self.lxc / NAME / "config").read_text().splitlines()
        shutil.rmtree(self.lxc)
        for name in names:
            self.write(f"lxc/{name}/config", text)
        places = [CGROUPS, *CGROUPS.iterdir(), Path("/run")]
        crowd(self.run, names, lambda: [str(p) for place in places for p in place.glob(f"sampan/{NAME}*")])


def sizes() -> None:
    print("\nbinary, bytes")
    for path in sorted((paths.build_dir() / "arch").glob("*/sampan")):
        limit(path.parent.name, path.stat().st_size, 150_000)


@contextmanager
def bench(layout: str, rounds: int) -> Iterator[Bench]:
    binary = paths.build_dir() / "arch" / {"i686": "x86"}.get(platform.machine(), platform.machine()) / "sampan"
    if not binary.exists():
        sys.exit(f"{binary} is missing: build a board of this machine's architecture first")
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder:
        made = Bench(Path(folder), binary, layout, rounds)
        made.prepare()
        try:
            yield made
        finally:
            subprocess.run(["umount", "-l", made.work / "readonly"], check=True)


def measure(layout: str, rounds: int, count: int) -> None:
    """All tables of one layout; the mounts are made."""
    with bench(layout, rounds) as made:
        if layout != "host":
            made.exits()
            made.running()
            made.calls()
        else:
            made.cycles()
            made.boot()
            made.crowd(count)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.runtime", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--crowd", type=int, default=COUNT, metavar="N", help="containers at once (200)")
    parser.add_argument("--layout", choices=LAYOUTS, help="this one alone")
    parser.add_argument("--made", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    need_host()
    if args.made:
        measure(args.layout, args.rounds, args.crowd)
        return
    sizes()
    sys.stdout.flush()
    for layout in [args.layout] if args.layout else LAYOUTS:
        options = ["--rounds", str(args.rounds), "--crowd", str(args.crowd), "--layout", layout, "--made"]
        script = f'mount -t tmpfs -o mode=755 none /run && {LAYOUTS[layout]} && exec "$@"'
        argv = [sys.executable, "-m", "tests.bench.runtime", *options]
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *argv], check=True)


if __name__ == "__main__":
    main()
