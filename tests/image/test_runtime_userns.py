"""Containers with a user namespace: their root is nobody on the host, and root enough inside."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from runtime_lab import CGROUPS, IDMAPPED, Lab, need_own_root

#: Without these there are no such containers.
pytestmark = pytest.mark.both_ways(but=IDMAPPED)

HOST = 100000
MAP = (f"lxc.idmap = u 0 {HOST} 65536", f"lxc.idmap = g 0 {HOST} 65536")
OWNERS = (*MAP, "lxc.rootfs.options = idmap=container")
TERMINALS = ("c 5:2 rwm", "c 136:* rwm", "c 5:0 rwm")
LISTED = (
    "lxc.cgroup.devices.deny = a",
    *(f"lxc.cgroup.devices.allow = {rule}" for rule in ("c 1:3 rwm", "b 7:* m", *TERMINALS)),
)


@pytest.fixture(autouse=True)
def _host() -> None:
    need_own_root()
    if not Path("/proc/self/ns/user").exists():
        pytest.skip("this kernel has no user namespaces")
    if "open_tree" in os.environ.get("SAMPAN_DISABLE", ""):
        pytest.skip("containers with lxc.idmap take Linux 5.2")


def sh(lab: Lab, name: str, script: str, *options: str) -> str:
    done = lab.sampan("execute", name, *options, "--", "/bin/sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout


def old(lab: Lab) -> bool:
    """Is the kernel to look as if it had no mounts that are nowhere?"""
    return "open_tree" in lab.off


def test_root_inside_is_nobody_outside(any_lab: Lab) -> None:
    """Ids, owners, devices, /proc, /sys and control groups of one container, on each layout of cgroups."""
    auto = "lxc.mount.auto = proc:mixed sys:mixed cgroup:rw:force"
    name = any_lab.make("u", *OWNERS, *LISTED, auto, "lxc.tty.max = 2", "lxc.proc.oom_score_adj = 7")
    (any_lab.root(name) / "etc/secret").write_text("x")
    (any_lab.root(name) / "etc/secret").chmod(0o600)
    if old(any_lab):
        done = any_lab.sampan("start", name)
        assert done.returncode == 1 and "Linux 5.2" in done.stderr, done.stderr
        return
    any_lab.ok("start", name)
    pid = any_lab.state(name)["pid"]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(HOST)}
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "7\n"
    inside = any_lab.attach(name, "id -u; cat /etc/secret; touch /tmp/new; stat -c %u /tmp/new /dev/console /dev/tty1 "
                            "/dev/null /dev/pts; echo x >/dev/null && echo null; head -c1 /dev/zero || echo refused; "
                            "mknod /tmp/node c 1 3 || echo no nodes; hostname other && hostname")  # fmt: skip
    assert inside.stdout.split("\n") == ["0", "x0", "0", "0", "0", "0", "null", "refused", "no nodes", "other", ""]
    assert (any_lab.root(name) / "tmp/new").stat().st_uid == 0
    for path in (p for p in CGROUPS.glob("**/sampan/*") if p.name == name):
        assert path.stat().st_uid == (path / "cgroup.procs").stat().st_uid == HOST
    any_lab.ok("stop", name)


def test_it_cannot_lift_its_device_rules(any_lab: Lab) -> None:
    """It can mount the devices hierarchy, where its list stands, but only the host's root may write there."""
    if old(any_lab):
        return
    name = any_lab.make("u", *OWNERS, *LISTED, "lxc.mount.auto = proc sys")
    script = "mount -t cgroup -o devices none /tmp; echo a >/tmp/devices.allow; head -c1 /dev/zero | wc -c"
    assert sh(any_lab, name, script).strip() == "0"


def test_files_of_the_hosts_root_stay_closed(lab: Lab) -> None:
    shared = lab.path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "roots").write_text("secret")
    (shared / "roots").chmod(0o600)
    bind = f"lxc.mount.entry = {shared} srv none bind,create=dir"
    name = lab.make("u", *OWNERS, bind)
    for verb in ("execute", "attach"):
        if verb == "attach":
            lab.ok("start", name)
        done = lab.sampan(verb, name, "--", "/bin/sh", "-c", "cat /srv/roots; touch /srv/new")
        assert "secret" not in done.stdout and done.stderr.count("ermission denied") == 2, (verb, done)
    lab.ok("stop", "-k", name)


def test_a_bind_with_idmap_belongs_to_it(lab: Lab) -> None:
    shared = lab.path / "shared"
    shared.mkdir(mode=0o700)
    name = lab.make("u", *OWNERS, f"lxc.mount.entry = {shared} srv none bind,create=dir,idmap=container",
                    f"lxc.mount.entry = {shared} opt none bind,ro,create=dir,idmap=container",
                    "lxc.mount.entry = /nosuch mnt none bind,create=dir,idmap=container,optional")  # fmt: skip
    assert "Read-only" in sh(lab, name, "touch /srv/new && stat -c %u /srv/new; touch /opt/new 2>&1 || true")
    assert (shared / "new").stat().st_uid == 0
    done = lab.sampan("execute", name, "-s", "lxc.idmap =", "--", "/bin/true")
    assert done.returncode == 125 and "lxc.idmap is missing" in done.stderr


def test_without_idmap_the_owners_are_the_hosts(lab: Lab) -> None:
    """LXC's own way: the tree was given to the ids of the container by chown."""
    name = lab.make("u", *MAP)
    subprocess.run(["chown", "-hR", f"{HOST}:{HOST}", lab.root(name)], check=True)
    assert sh(lab, name, "touch /new; stat -c %u /new /bin").split() == ["0", "0"]
    assert (lab.root(name) / "new").stat().st_uid == HOST


def test_a_kernel_without_idmapped_mounts_is_named(lab: Lab) -> None:
    name = lab.make("u", *OWNERS)
    lab.env["SAMPAN_DISABLE"] = "mount_setattr"
    done = lab.sampan("start", name)
    assert done.returncode == 1 and "Linux 5.12" in done.stderr and "chown" in done.stderr, done.stderr


def test_an_overlay_is_mounted_by_the_host(lab: Lab) -> None:
    name = lab.make("u", *MAP, f"lxc.rootfs.path = overlay:{lab.path}/lxc/base/rootfs:tmpfs")
    base = lab.make("b")
    subprocess.run(["chown", "-hR", f"{HOST}:{HOST}", lab.root(base)], check=True)
    config = lab.lxc / name / "config"
    config.write_text(config.read_text().replace("/lxc/base/", f"/lxc/{base}/"))
    assert sh(lab, name, "touch /bin/new && stat -c %u /bin/new").split() == ["0"]
    assert not (lab.root(base) / "bin/new").exists()


def test_ids_of_init_and_what_attaches(lab: Lab) -> None:
    """An id of the container's own, limits only the host may raise, a program of another user."""
    name = lab.make("u", *OWNERS, "lxc.init.uid = 7", "lxc.init.gid = 8", "lxc.prlimit.nofile = 600:700",
                    "lxc.init.cmd = /bin/sleep 1000")  # fmt: skip
    lab.ok("start", name)
    pid = lab.state(name)["pid"]
    assert f"\nUid:\t{HOST + 7}\t" in Path(f"/proc/{pid}/status").read_text()
    assert lab.attach(name, "id -u; ulimit -n; ulimit -Hn").stdout.split() == ["0", "600", "700"]
    assert lab.sampan("attach", name, "-u", "9", "-g", "9", "--", "/bin/id", "-u").stdout == "9\n"
    assert lab.sampan("attach", name, "-u", "70000", "--", "/bin/id", "-u").returncode != 0
    lab.ok("stop", "-k", name)


def test_attach_without_the_right_to_see_others_limits(lab: Lab) -> None:
    """prlimit(2) of another user's process takes CAP_SYS_RESOURCE, which a nested runtime has not."""
    name = lab.make("u", "lxc.init.uid = 7", "lxc.init.cmd = /bin/sleep 1000")
    lab.ok("start", name)
    command = lab.command("attach", name, "--", "/bin/echo", "in")
    done = subprocess.run(["setpriv", "--bounding-set", "-sys_resource", *command], env=lab.environment(),
                          capture_output=True, text=True, check=False)  # fmt: skip
    lab.ok("stop", "-k", name)
    assert done.stdout == "in\n", done.stderr


def test_network_of_its_own_and_of_the_host(lab: Lab) -> None:
    veth = ("lxc.net.0.type = veth", "lxc.net.0.flags = up", "lxc.net.0.ipv4.address = 10.219.3.2/24")
    name = lab.make("v", *OWNERS, *veth, "lxc.mount.auto = proc sys", "lxc.sysctl.net.ipv4.ip_forward = 1")
    script = "cat /sys/class/net/eth0/operstate; cat /proc/sys/net/ipv4/ip_forward"
    assert sh(lab, name, script).split()[1:] == ["1"]
    shared = lab.make("n", *OWNERS, "lxc.net.0.type = none", "lxc.mount.auto = proc sys")
    ours = sorted(os.listdir("/sys/class/net"))
    assert sorted(sh(lab, shared, "ls /sys/class/net; touch /sys/x 2>/dev/null || true").split()) == ours


def test_hooks_run_as_its_root(lab: Lab) -> None:
    told = Path(tempfile.mkdtemp())  # one whose parents all may look into
    told.chmod(0o777)
    lines = [f'lxc.hook.{stage} = sh -c "id -u >{told}/{stage}"' for stage in ("pre-start", "pre-mount", "mount")]
    name = lab.make("h", *OWNERS, *lines, f'lxc.hook.post-stop = sh -c "id -u >{told}/post-stop"')
    sh(lab, name, "true")
    assert {path.name: path.read_text() for path in told.iterdir()} == {
        "pre-start": "0\n", "pre-mount": "0\n", "mount": "0\n", "post-stop": "0\n"
    }  # fmt: skip
    owners = {path.name: path.stat().st_uid for path in told.iterdir()}
    shutil.rmtree(told)
    assert owners == {"pre-start": 0, "pre-mount": HOST, "mount": HOST, "post-stop": 0}
