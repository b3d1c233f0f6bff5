"""Exported lists in the hands of real tools (LXC, runc, crun, systemd, udev): what they open is what the list says."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from runtime_lab import need_own_root

from sampan.build import prober
from sampan.config.rules import Access, RuleSet
from sampan.control import verify
from sampan.control.shells import Subject
from sampan.core import paths
from sampan.devices import catalogue, dump, export, guard, policyfile, resolve, verdict
from sampan.devices.facts import Facts
from sampan.serial.session import Result

LIST = """lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = profile:base
# reason: a test
lxc.cgroup.devices.allow = /dev/kmsg w
"""
NAME = f"sampan-tools-{os.getpid()}"
CGROUPS = Path("/sys/fs/cgroup")
#: crun asks for more memory to lock than a container on this host may; kernels since 5.11 need none for BPF.
SHIM = """#include <sys/resource.h>
int setrlimit(__rlimit_resource_t what, const struct rlimit *limit) { (void)what; (void)limit; return 0; }
"""


def tool(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module")
def facts() -> Facts:
    """Of this host's kernel."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    done = subprocess.run(["sh", "-c", dump.script()], capture_output=True, text=True, check=True)
    return dump.parse(done.stdout, "host", "probe")


@pytest.fixture(scope="module")
def found(facts: Facts) -> resolve.Resolved:
    text = LIST.replace(
        "lxc.cgroup.devices.allow = /dev/kmsg", "# reason: a test\nlxc.cgroup.devices.allow = /dev/kmsg"
    )
    return resolve.resolve(policyfile.loads(text, "list"), facts, catalogue.load())


@dataclass(frozen=True)
class Space:
    """A mount namespace of our own: LXC's containers are the test's, and the cgroups maybe only v2."""

    pid: int

    def run(self, command: str, timeout: float = 60) -> Result:
        argv = ["nsenter", "-t", str(self.pid), "-m", "-r", "sh", "-c", command]
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
        return Result(command, done.returncode, done.stdout, checked=True)


@contextlib.contextmanager
def space(folder: Path, *, v2: bool) -> Iterator[Space]:
    need_own_root()
    with subprocess.Popen(["unshare", "-m", "sleep", "600"]) as keeper:
        try:
            own = os.readlink("/proc/self/ns/mnt")
            while os.readlink(f"/proc/{keeper.pid}/ns/mnt") == own:
                time.sleep(0.01)
            made = Space(keeper.pid)
            (folder / "lxc").mkdir()
            made.run(f"mkdir -p /var/lib/lxc && mount --bind {folder / 'lxc'} /var/lib/lxc").check()
            if v2:
                made.run(f"mount -t cgroup2 none {CGROUPS}").check()
            yield made
        finally:
            keeper.kill()


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root with busybox alone."""
    (busybox,) = (paths.build_dir() / "arch" / "x86_64" / "busybox").glob("base/busybox")
    root = tmp_path / "rootfs"
    for name in ("bin", "proc", "dev", "sys", "ask"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    for name in ("sh", "sleep"):
        (root / "bin" / name).symlink_to("busybox")
    return root


def modes() -> list[str]:
    if (CGROUPS / "cgroup.controllers").is_file():
        return ["v2"]
    return ["v1", "v2"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs the image's x86-64 busybox on the host")
@pytest.mark.parametrize("mode", ["v1", "v2"])
def test_lxc_opens_what_the_exported_list_says(
    mode: str, tmp_path: Path, rootfs: Path, facts: Facts, found: resolve.Resolved
) -> None:
    """By verify itself: it asks LXC's container what it may do, number by number."""
    tool("lxc-start")
    if mode not in modes():
        pytest.skip("this host has no cgroup v1")
    with space(tmp_path, v2=mode == "v2") as here:
        text = export.lxc1(found, "") if mode == "v1" else export.lxc2(found, "")
        folder = tmp_path / "lxc" / NAME
        folder.mkdir()
        head = f"lxc.uts.name = {NAME}\nlxc.rootfs.path = dir:{rootfs}\nlxc.mount.auto = proc\nlxc.autodev = 1\n"
        (folder / "config").write_text(f"{head}lxc.init.cmd = /bin/sleep 600\n{text}")
        try:
            started = here.run(f"lxc-start -n {NAME} -o {tmp_path}/log -l INFO")
            assert started.ok, started.output + (tmp_path / "log").read_text()
            seen = verify.run(Subject("host", "host", here), NAME, policyfile.loads(text, "exported"))
            assert seen.good, seen.mismatches
            rows = {row.number: row.found for row in seen.rows}
            assert rows["c 1:3"] == "rw" and rows["c 1:11"] == "w"
            assert "" in rows.values(), "there are devices that it may not touch"
            # It is LXC's work that was judged: without one of the rules it is caught.
            broken = policyfile.loads(text.replace("c 1:11 w", "c 1:11 rw"), "broken")
            assert [each.number for each in verify.run(Subject("host", "host", here), NAME, broken).mismatches]
        finally:
            here.run(f"lxc-stop -k -n {NAME}")


def bundle(folder: Path, rootfs: Path, runtime: str, found: resolve.Resolved) -> None:
    """The runtime's own example with the exported part in it."""
    subprocess.run([runtime, "spec"], cwd=folder, check=True)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    exported = json.loads(export.oci(found, ""))["linux"]
    config["linux"] |= {"devices": exported["devices"], "resources": exported["resources"], "cgroupsPath": f"/{NAME}"}
    config["root"] = {"path": str(rootfs), "readonly": False}
    config["process"] |= {"args": ["/bin/sleep", "600"], "terminal": False}
    config["mounts"].append({"destination": "/ask", "type": "bind", "source": str(folder / "ask"), "options": ["bind"]})
    path.write_text(json.dumps(config))


def nodes_in(folder: Path, facts: Facts) -> list[verdict.Number]:
    """A folder with the prober and a node of every device of the host."""
    folder.mkdir()
    numbers = verdict.sweep([facts])
    for kind, major, minor in numbers:
        mode = (stat.S_IFCHR if kind == "c" else stat.S_IFBLK) | 0o666
        path = folder / verdict.spell((kind, major, minor))
        os.mknod(path, mode, os.makedev(major, minor))
        path.chmod(0o666)
    (folder / "prober").write_bytes(prober.program(platform.machine()))
    (folder / "prober").chmod(0o755)
    return numbers


#: What OCI runtimes allow besides what they are told: making any node, ptys, console, and once tun.
DEFAULTS = ("c *:* m", "b *:* m", "c 136:* rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 10:200 rwm") + tuple(
    f"c 1:{minor} rwm" for minor in (3, 5, 7, 8, 9)
)


def judge(output: str, numbers: list[verdict.Number], found: resolve.Resolved) -> None:
    """What the list allows is allowed, and no more than that and the defaults of OCI runtimes."""
    said, count = verdict.answers(output)
    assert count == len(numbers)
    own, widest = RuleSet(allow_default=False), RuleSet(allow_default=False)
    for rule in found.rules:
        own.apply("allow", str(rule))
    for text in (*map(str, found.rules), *DEFAULTS):
        widest.apply("allow", text)
    for number in numbers:
        answer = said.get(number, verdict.REFUSED)
        for ask in ("read", "write", "both"):
            access = verdict.ASKS[ask]  # type: ignore[index]
            may = answer.of(ask) == 0  # type: ignore[arg-type]
            assert may or not own.verdict(*number, access), (number, ask)
            assert not may or widest.verdict(*number, access), (number, ask)
    assert own.verdict("c", 1, 11, Access.WRITE) and said["c", 1, 11].read != 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs the image's x86-64 busybox on the host")
@pytest.mark.parametrize(("runtime", "mode"), [("runc", "v1"), ("crun", "v2")])
def test_oci_runtimes_open_what_the_exported_list_says(
    runtime: str, mode: str, tmp_path: Path, rootfs: Path, facts: Facts, found: resolve.Resolved
) -> None:
    program = tool(runtime)
    if mode not in modes():
        pytest.skip("this host has no cgroup v1")
    bundle(tmp_path, rootfs, program, found)
    numbers = nodes_in(tmp_path / "ask", facts)
    shim = tmp_path / "shim.so"
    if mode == "v2":
        (tmp_path / "shim.c").write_text(SHIM)
        subprocess.run([tool("gcc"), "-shared", "-fPIC", "-o", shim, tmp_path / "shim.c"], check=True)
    run = f"{f'LD_PRELOAD={shim} ' * (mode == 'v2')}{program} --root {tmp_path}/state"
    with space(tmp_path, v2=mode == "v2") as here:
        try:
            here.run(f"cd {tmp_path} && {run} run -d {NAME} </dev/null >{tmp_path}/log 2>&1")
            asked = here.run(f"{run} exec {NAME} /bin/sh -c '/ask/prober </ask'")
            assert asked.ok, asked.output + (tmp_path / "log").read_text()
        finally:
            here.run(f"{run} delete -f {NAME}")
    judge(asked.output, numbers, found)


def guards(folder: Path, found: resolve.Resolved) -> tuple[Path, Path]:
    """The guard of the list, and one of a list for a kernel on which /dev/null was another number."""
    text = guard.script(found)
    paths_ = folder / "right.guard", folder / "wrong.guard"
    for path, said in zip(paths_, (text, text.replace("node char/1:3 'null'", "node char/1:5 'null'")), strict=True):
        path.write_text(said)
        path.chmod(0o755)
    return paths_


REFUSED = "char/1:5 is not null any more but zero"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs the image's x86-64 busybox on the host")
def test_lxc_starts_nothing_that_the_guard_refuses(tmp_path: Path, rootfs: Path, found: resolve.Resolved) -> None:
    tool("lxc-start")
    mode = modes()[0]
    with space(tmp_path, v2=mode == "v2") as here:
        folder = tmp_path / "lxc" / NAME
        folder.mkdir()
        head = f"lxc.uts.name = {NAME}\nlxc.rootfs.path = dir:{rootfs}\nlxc.init.cmd = /bin/sleep 600\n"
        try:
            for hook, starts in zip(guards(tmp_path, found), (True, False), strict=True):
                write = export.lxc1 if mode == "v1" else export.lxc2
                (folder / "config").write_text(head + write(found, str(hook)))
                log = tmp_path / f"{hook.stem}.log"
                assert here.run(f"lxc-start -n {NAME} -o {log} -l DEBUG").ok == starts, log.read_text()
                assert (REFUSED in log.read_text()) != starts
                here.run(f"lxc-stop -k -n {NAME}")
        finally:
            here.run(f"lxc-stop -k -n {NAME}")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs the image's x86-64 busybox on the host")
def test_runc_starts_nothing_that_the_guard_refuses(tmp_path: Path, rootfs: Path, found: resolve.Resolved) -> None:
    program = tool("runc")
    (tmp_path / "ask").mkdir()
    bundle(tmp_path, rootfs, program, found)
    config = json.loads((tmp_path / "config.json").read_text())
    run = f"cd {tmp_path} && {program} --root {tmp_path}/state"
    with space(tmp_path, v2=modes()[0] == "v2") as here:
        try:
            for hook, starts in zip(guards(tmp_path, found), (True, False), strict=True):
                config["hooks"] = json.loads(export.oci(found, str(hook)))["hooks"]
                (tmp_path / "config.json").write_text(json.dumps(config))
                log = tmp_path / f"{hook.stem}.log"
                assert here.run(f"{run} run -d {NAME} </dev/null >{log} 2>&1").ok == starts, log.read_text()
                assert (REFUSED in log.read_text()) != starts, log.read_text()
                here.run(f"{run} delete -f {NAME}")
        finally:
            here.run(f"{run} delete -f {NAME}")


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[str]:
    """A daemon of our own, without networks, and the command that talks to it; its image "root" has busybox alone."""
    daemon, socket = tool("dockerd"), tmp_path / "docker.sock"
    log = tmp_path / "docker.log"
    where = ["--data-root", tmp_path / "data", "--exec-root", tmp_path / "exec", "-p", tmp_path / "docker.pid"]
    quiet = [
        "--bridge",
        "none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--storage-driver",
        "vfs",
    ]
    # Debian's client, whatever else is on the path.
    client = f"{daemon.replace('sbin/dockerd', 'bin/docker')} -H unix://{socket}"
    with (
        log.open("wb") as out,
        subprocess.Popen([daemon, *where, "-H", f"unix://{socket}", *quiet], stdout=out, stderr=out) as process,
    ):
        try:
            while subprocess.run(["sh", "-c", f"{client} info"], capture_output=True, check=False).returncode:
                if process.poll() is not None:
                    why = log.read_text(errors="replace").splitlines()[-1:]
                    pytest.skip(f"no Docker daemon can run here: {why}")
                time.sleep(0.2)
            yield client
        finally:
            process.terminate()
            process.wait()
            # A daemon that could not start leaves its folder mounted on itself.
            subprocess.run(["umount", "-l", tmp_path / "data"], stderr=subprocess.DEVNULL, check=False)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs the image's x86-64 busybox on the host")
def test_docker_opens_what_the_exported_flags_say(
    docker: str, tmp_path: Path, rootfs: Path, facts: Facts, found: resolve.Resolved
) -> None:
    """The flags as a person pastes them behind `docker run`."""
    need_own_root()
    numbers = nodes_in(tmp_path / "ask", facts)
    flags = " ".join(export.docker(found, "").splitlines())

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(f"tar -C {rootfs} -c . | {docker} import - root")
    run(f"{docker} run -d --name {NAME} --network none -v {tmp_path}/ask:/ask {flags} root /bin/sleep 600")
    try:
        judge(run(f"{docker} exec {NAME} /bin/sh -c '/ask/prober </ask'"), numbers, found)
        assert "1,  11" in run(f"{docker} exec {NAME} /bin/busybox ls -l /dev/kmsg"), "the node is made"
    finally:
        run(f"{docker} rm -f {NAME}")


def test_systemd_takes_the_unit(tmp_path: Path, found: resolve.Resolved) -> None:
    unit = tmp_path / "sampan-test.service"
    hook = tmp_path / "guard"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    head = "[Unit]\nDescription=test\n\n"
    unit.write_text(head + export.systemd(found, str(hook)) + "ExecStart=/bin/true\n")
    argv = [tool("systemd-analyze"), "verify", "--man=no", "--generators=no", unit]

    def complaints() -> list[str]:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]

    assert not complaints()
    unit.write_text(unit.read_text().replace("DevicePolicy=strict", "DevicePolicy=stricter"))
    assert complaints(), "it would have said so"


def test_udev_takes_the_rules(tmp_path: Path, facts: Facts) -> None:
    udevadm = tool("udevadm")
    policy = policyfile.loads("lxc.cgroup.devices.allow = profile:base\n", "list")
    rules = export.udev(resolve.resolve(policy, facts, catalogue.load()), "")
    path = Path("/run/udev/rules.d") / f"99-{NAME}.rules"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(rules)
        done = subprocess.run(
            [udevadm, "test", "/sys/class/mem/null"], capture_output=True, text=True, check=False, timeout=60
        )
        said = done.stdout + done.stderr
        assert f"{path}:" not in said, said  # what it says of a rule it cannot read
        assert "TAGS=:sampan:" in said.replace("CURRENT_TAGS", "")
    finally:
        path.unlink()
