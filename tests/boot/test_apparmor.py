"""lxc.apparmor.profile on a kernel that has AppArmor: the profile is compiled here, the target only loads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.core.run import run
from sampan.qemu.boot import Machine, booted
from sampan.qemu.machine import BootOptions

PROFILE = """\
profile sampan-test flags=(attach_disconnected) {
  file,
  capability,
  mount,
  umount,
  signal,
  ptrace,
  network,
  unix,
  deny /etc/forbidden r,
}
"""
FEATURES = Path("/etc/apparmor.d/abi/3.0")
LINE = "lxc.apparmor.profile = sampan-test"


@pytest.fixture(scope="module")
def confined(folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the profile loaded, and a container that asks for it."""
    tmp = tmp_path_factory.mktemp("apparmor")
    parser = shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if not parser or not FEATURES.exists():
        pytest.skip("needs apparmor_parser (apt-get install apparmor)")
    (tmp / "disk").mkdir()
    (tmp / "profile").write_text(PROFILE)
    words = ["--skip-kernel-load", "--skip-cache", "--kernel-features", FEATURES, "--policy-features", FEATURES]
    run([parser, *words, "--ofile", tmp / "disk/profile.bin", tmp / "profile"])
    run(["mke2fs", "-q", "-t", "ext4", "-L", "sampan-data", "-d", tmp / "disk", tmp / "data.ext4", "16M"])
    options = BootOptions(snapshot=True, data=tmp / "data.ext4", log=tmp / "console.log")
    with booted(folder_of("qemux86-64"), options) as machine:
        machine.run("mount -t securityfs none /sys/kernel/security").check()
        machine.run("lxc-create -n guard -t busybox").check()
        machine.run("echo secret >/var/lib/lxc/guard/rootfs/etc/forbidden").check()
        machine.run(f"printf '{LINE}\\nlxc.mount.auto = proc\\n' >>/var/lib/lxc/guard/config").check()
        yield machine


def test_a_profile_confines_payload_and_attached(confined: Machine) -> None:
    early = confined.run("lxc-start -n guard")
    assert early.status != 0 and LINE in early.output and "must be loaded" in early.output
    confined.run("cat /var/lib/lxc/profile.bin >/sys/kernel/security/apparmor/.load").check()
    script = "cat /proc/self/attr/current /proc/1/attr/current; cat /etc/forbidden"
    done = confined.run(f"lxc-execute -n guard -- /bin/sh -c '{script}'")
    assert done.output.count("sampan-test (enforce)") == 2 and "ermission denied" in done.output, done.output
    for start in ("lxc-start -n guard", "lxc-execute -d -n guard -- /bin/sleep 1000"):
        confined.run(start).check()
        done = confined.run(f"lxc-attach -n guard -- /bin/sh -c '{script}'")
        assert done.output.count("sampan-test (enforce)") == 2 and "ermission denied" in done.output, done.output
        confined.run("lxc-stop -k -n guard").check()
    assert "AppArmor: enabled" in confined.run("lxc-checkconfig").output
