"""The runtime's bars: its commands against the least a kernel needs, and against LXC and crun.

    python -m tests.bench.runtime [--rounds N]

Needs root and a built runtime (`./sampanw build`); peers (apt-get install lxc crun strace) are left
out with the reason when they are missing or fail. All commands of one table run in turn, round by
round, each round starting one further on; a ratio is the median of the ratios of the rounds. Times
of a busy machine say nothing, ratios of one run do. Cgroup v2 is measured in a mount namespace in
which nothing else is mounted; "host" is the layout as it is (v1 or hybrid on older systems).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sampan.core import paths
from tests.image.runtime_lab import CGROUPS, make_root, need_host

HERE = Path(__file__).parent
DEVICES = ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2")
CAPABILITIES = ("kill", "net_bind_service", "audit_write")
PAUSE = 0.008  #: between two runs, so that the kernel's deferred clean-up is not charged to the next
WARM = 2

_serial = itertools.count(1)
Argv = Callable[[], list[str]]


@dataclass
class Command:
    """One row: what is timed, and what restores the state afterwards (not timed)."""

    name: str
    argv: Argv
    after: Argv | None = None
    seconds: list[float] = field(default_factory=list)
    failure: str = ""

    def once(self) -> float:
        """Seconds from spawn to exit; a failure is kept and ends the row."""
        argv = self.argv()
        with tempfile.TemporaryFile() as said:
            stdio = [(os.POSIX_SPAWN_DUP2, _null, 0), (os.POSIX_SPAWN_DUP2, _null, 1),
                     (os.POSIX_SPAWN_DUP2, said.fileno(), 2)]  # fmt: skip
            start = time.perf_counter()
            pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=stdio)
            _, status = os.waitpid(pid, 0)
            taken = time.perf_counter() - start
            if status:
                said.seek(0)
                lines = [line for line in said.read().decode(errors="replace").splitlines() if line]
                self.failure = lines[0] if lines else f"wait status {status:#x}"
        if self.after:
            subprocess.run(self.after(), capture_output=True, check=False)
        return taken


_null = os.open(os.devnull, os.O_RDWR)


def interleave(commands: list[Command], rounds: int) -> None:
    for turn in range(-WARM, rounds):
        first = max(turn, 0) % len(commands)
        for command in commands[first:] + commands[:first]:
            if command.failure:
                continue
            time.sleep(PAUSE)
            taken = command.once()
            if turn >= 0 and not command.failure:
                command.seconds.append(taken)


def table(title: str, commands: list[Command], bars: dict[str, float]) -> None:
    """Medians, the ratio to the first row, and the bar of that ratio where there is one."""
    base = commands[0]
    print(f"\n{title}\n  {'command':<24}{'median':>10}  {'x ' + base.name:>16}   bar")
    for command in commands:
        if command.failure or not base.seconds:
            print(f"  {command.name:<24}  left out: {command.failure or 'nothing to compare with'}")
            continue
        ratio = statistics.median(a / b for a, b in zip(command.seconds, base.seconds, strict=True))
        bar = bars.get(command.name)
        verdict = "" if bar is None else f"<= {bar:.2f}  {'met' if ratio <= bar else 'MISSED'}"
        print(f"  {command.name:<24}{statistics.median(command.seconds) * 1e3:7.2f} ms  {ratio:16.2f}   {verdict}")


@dataclass
class Bench:
    """A folder with one root file system, and each runtime's configuration for it."""

    work: Path
    binary: Path
    floor: Path
    layout: str  # v2, host
    rounds: int

    @property
    def root(self) -> Path:
        return self.work / "lxc/b/rootfs"

    def sampan(self, verb: str, *words: str) -> list[str]:
        return [str(self.binary), verb, "-P", str(self.work / "lxc"), "b", *words]

    def prepare(self) -> None:
        make_root(self.root)
        lines = ["lxc.uts.name = b", f"lxc.rootfs.path = dir:{self.root}", "lxc.mount.auto = proc:mixed sys:ro"]
        policy = ["lxc.no_new_privs = 1", f"lxc.cap.keep = {' '.join(CAPABILITIES)}"]
        key = "lxc.cgroup2.devices" if self.layout == "v2" else "lxc.cgroup.devices"
        rules = [f"{key}.deny = a", *(f"{key}.allow = c {number} rwm" for number in DEVICES)]
        self.write("lxc/b/config", [*lines, *policy, *rules])
        self.write("lxc/s/config", [line.replace("uts.name = b", "uts.name = s") for line in [*lines, *rules]])
        self.write("peer/b/config", [*lines, *policy, *rules, "lxc.tty.max = 0"])
        (self.work / "run").mkdir(mode=0o700)
        os.environ["SAMPAN_RUN"] = str(self.work / "run")
        os.environ["SAMPAN_CGROUP_ROOT"] = str(CGROUPS)  # not the mounts of some chroot elsewhere
        if crun := shutil.which("crun"):
            (self.work / "bundle").mkdir()
            subprocess.run([crun, "spec"], cwd=self.work / "bundle", check=True)
            self.spec(self.work / "bundle/config.json")

    def write(self, name: str, lines: list[str]) -> None:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))

    def spec(self, path: Path) -> None:
        """crun's bundle: the same namespaces, mounts, capabilities and device list, no other masks."""
        spec = json.loads(path.read_text())
        caps = [f"CAP_{name.upper()}" for name in CAPABILITIES]
        spec["root"] = {"path": str(self.root), "readonly": False}
        spec["process"] |= {"terminal": False, "args": ["/bin/true"], "noNewPrivileges": True}
        spec["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), caps)
        wanted = ("/proc", "/dev", "/dev/pts", "/dev/shm", "/sys")
        spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] in wanted]
        rules = [{"allow": False, "access": "rwm"}]
        for number in DEVICES:
            major, minor = map(int, number.split(":"))
            rules.append({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"})
        spec["linux"] |= {"maskedPaths": [], "readonlyPaths": ["/proc/sys"], "resources": {"devices": rules}}
        path.write_text(json.dumps(spec))

    def peer(self, tool: str, *words: str) -> list[str]:
        return [shutil.which(tool) or tool, "-P", str(self.work / "peer"), "-n", "b", *words]

    # ---- the tables ----

    def exits(self) -> None:
        how, where = ("v2", CGROUPS) if self.layout == "v2" else ("v1", CGROUPS / "devices")
        floor = [str(self.floor), how, "", str(self.root), "/bin/true"]
        commands = [
            Command("floor", lambda: [*floor[:2], f"{where}/floor{os.getpid()}n{next(_serial)}", *floor[3:]]),
            Command("sampan execute", lambda: self.sampan("execute", "--", "/bin/true")),
        ]
        if crun := shutil.which("crun"):
            bundle = str(self.work / "bundle")
            commands.append(Command("crun run", lambda: [crun, "run", "-b", bundle, f"bench{next(_serial)}"]))
        if shutil.which("lxc-execute"):
            commands.append(Command("lxc-execute", lambda: self.peer("lxc-execute", "--", "/bin/true")))
        interleave(commands, self.rounds)
        table(f"start to exit of /bin/true, cgroups {self.layout}", commands, {"sampan execute": 1.25})
        for peer, bar in (("crun run", 0.45), ("lxc-execute", 0.2)):
            other = next((c for c in commands if c.name == peer), None)
            if other and not other.failure:
                table("the same against a peer", [other, commands[1]], {"sampan execute": bar})

    def cycles(self) -> None:
        """start until RUNNING and stop -k; each is the other's preparation."""
        for verb, peer_verb, bar in (("start", "lxc-start", 1 / 3), ("stop", "lxc-stop", 0.5)):
            kill, up = (["-k"], []) if verb == "stop" else ([], ["-d"])
            ours = Command(f"sampan {verb}", lambda v=verb, k=kill: self.sampan(v, *k))  # type: ignore[misc]
            peer = Command(peer_verb, lambda v=peer_verb, w=(*up, *kill): self.peer(v, *w))  # type: ignore[misc]
            if verb == "start":
                ours.after = lambda: self.sampan("stop", "-k")
                peer.after = lambda: self.peer("lxc-stop", "-k")
                pair = [peer, ours]
                interleave(pair, self.rounds)
            else:
                pair = [peer, ours]
                ours.after, peer.after = (lambda: self.sampan("start")), (lambda: self.peer("lxc-start", "-d"))
                for command in pair:
                    subprocess.run(command.after(), check=False, capture_output=True)  # type: ignore[misc]
                interleave(pair, self.rounds)
                for command in pair:
                    subprocess.run(command.argv(), check=False, capture_output=True)
            table(f"{verb}{' -k' * (verb == 'stop')}, system container", pair, {f"sampan {verb}": bar})

    def boot(self) -> None:
        """Eight containers started one after the other by lxc-autostart, at once by ours."""
        if not shutil.which("lxc-autostart"):
            return
        folder = self.work / "auto"
        for number in range(8):
            text = (self.work / "peer/b/config").read_text().replace("uts.name = b", f"uts.name = a{number}")
            self.write(f"auto/a{number}/config", [*text.splitlines(), "lxc.start.auto = 1"])
        ours, peer = [str(self.binary), "autostart", "-P", str(folder)], ["lxc-autostart", "-P", str(folder)]
        pair = [
            Command("lxc-autostart", lambda: [shutil.which(peer[0]) or "", *peer[1:]], lambda: [*peer, "-k"]),
            Command("sampan autostart", lambda: ours, lambda: [*ours, "-k"]),
        ]
        interleave(pair, max(self.rounds // 4, 3))
        table("8 containers autostarted", pair, {"sampan autostart": 1 / 3})

    def running(self) -> None:
        """attach, what the supervisor holds, and a clean stop of busybox's init."""
        subprocess.run(self.sampan("start"), check=True)
        state = json.loads(subprocess.run(self.sampan("info", "--json"), check=True, capture_output=True).stdout)
        inside = ["-m", "-u", "-i", "-n", "-p", "-C", "/bin/true"]
        enter = [shutil.which("nsenter") or "nsenter", "-t", str(state["pid"]), *inside]
        pair = [
            Command("nsenter", lambda: enter),
            Command("sampan attach", lambda: self.sampan("attach", "--", "/bin/true")),
        ]
        interleave(pair, self.rounds)
        table("attach (nsenter joins no cgroup, drops nothing)", pair, {"sampan attach": 1.25})
        proc = Path(f"/proc/{state['supervisor']}")
        rollup = dict(line.split(":", 1) for line in (proc / "smaps_rollup").read_text().splitlines()[1:])
        # File pages are the program itself: there once, however many containers run.
        private = int(rollup["Anonymous"].split()[0])
        print("\nsupervisor")
        limit("private memory", private, 150, "kB")
        limit("file descriptors", len(list((proc / "fd").iterdir())), 15)
        start = time.perf_counter()
        subprocess.run(self.sampan("stop"), check=True)
        limit("clean stop of busybox init", round((time.perf_counter() - start) * 1e3), 300, "ms")

    def calls(self) -> None:
        print("\nsystem calls, with the payload's")
        strace = shutil.which("strace")
        if not strace:
            print("  left out: needs strace (apt-get install strace)")
            return
        out = self.work / "calls"
        cgroup = CGROUPS if self.layout == "v2" else CGROUPS / "devices"
        floor = [str(self.floor), "v2" if self.layout == "v2" else "v1", f"{cgroup}/floor{os.getpid()}"]
        for name, argv, bar in (
            ("floor", [*floor, str(self.root), "/bin/true"], None),
            ("sampan execute", self.sampan("execute", "--", "/bin/true"), 200),
        ):
            subprocess.run([strace, "-f", "-c", "-o", str(out), *argv], check=True, stdin=_null)
            total = int(out.read_text().splitlines()[-1].split()[3])
            limit(name, total, bar)


def limit(name: str, value: int, bar: int | None, unit: str = "") -> None:
    verdict = "" if bar is None else f"<= {bar}  {'met' if value <= bar else 'MISSED'}"
    print(f"  {name:<28}{value:8} {unit:<3} {verdict}")


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
        floor = Path(folder) / "floor"
        target = f"{platform.machine()}-linux-musl"
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-Os", "-static", "-s"]
        subprocess.run([*compiler, str(HERE / "floor.c"), "-o", str(floor)], check=True)
        made = Bench(Path(folder), binary, floor, layout, rounds)
        made.prepare()
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.runtime", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--layout", choices=("v2", "host"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    need_host()
    if args.layout:
        os.nice(-20)  # commands of several processes lose more by waiting for a processor than others
        with bench(args.layout, args.rounds) as made:
            made.exits()
            if args.layout == "host":
                made.cycles()
                made.boot()
                made.running()
            made.calls()
        return
    sizes()
    again = [sys.executable, "-m", "tests.bench.runtime", "--rounds", str(args.rounds), "--layout"]
    alone = 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    sys.stdout.flush()
    subprocess.run(["unshare", "-m", "sh", "-c", alone, "sh", *again, "v2"], check=True)
    subprocess.run([*again, "host"], check=True)


if __name__ == "__main__":
    main()
