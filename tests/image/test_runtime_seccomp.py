"""Filters of system calls on this host: the built-in list, compiled policies, attach, and the ways around."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from runtime_lab import Lab

from sampan.cli.seccomp import command
from sampan.config import seccomp_calls as calls

ARCH = "x86_64"
pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="asks for calls by x86-64's numbers")

#: Asks for a call by its number, all arguments given: "NR A0 A1..." prints errno (0: it went through).
ASK = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	long a[7] = { 0 };
	int compat = argc > 1 && strcmp(argv[1], "-32") == 0;

	for (int i = 1 + compat; i < argc && i < 8 + compat; i++)
		a[i - 1 - compat] = strtol(argv[i], NULL, 0);
	errno = 0;
	if (compat) {
		long rc;

		__asm__ volatile("int $0x80" : "=a"(rc) : "a"(a[0]), "b"(a[1]), "c"(a[2]), "d"(a[3])
			: "memory", "r8", "r9", "r10", "r11");
		errno = rc < 0 ? (int)-(int)rc : 0;
	} else {
		syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
	}
	printf("%d\n", errno);
	return 0;
}
"""


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ask")
    (folder / "ask.c").write_text(ASK)
    tool = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl", "-static", "-Os"]
    subprocess.run([*tool, "ask.c", "-o", "ask"], cwd=folder, check=True)
    return folder / "ask"


def make(lab: Lab, ask: Path, label: str, *lines: str) -> str:
    name = lab.make(label, *lines)
    shutil.copy(ask, lab.root(name) / "bin/ask")
    return name


def number(call: str, abi: calls.Abi = calls.X86_64) -> int:
    return calls.table(abi)[call]


def errno_of(lab: Lab, name: str, *words: object) -> int:
    return int(lab.ok("execute", name, "--", "/bin/ask", *map(str, words)))


def compiled(path: Path, text: str) -> str:
    """A policy, compiled by the command as a person does it; the line for the configuration."""
    path.write_text(text)
    done = CliRunner().invoke(command, ["compile", "--arch", ARCH, str(path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return f"lxc.seccomp.profile = {path}"


EPERM, ENOSYS = 1, 38


def test_the_built_in_list(lab: Lab, ask: Path) -> None:
    name = make(lab, ask, "builtin")
    for call in ("kexec_load", "init_module", "delete_module", "open_by_handle_at", "bpf", "userfaultfd"):
        assert errno_of(lab, name, number(call), -1, -1, -1) == EPERM, call
    assert errno_of(lab, name, number("keyctl"), 0) == ENOSYS
    assert errno_of(lab, name, number("unshare"), 0x10000000) == EPERM
    assert errno_of(lab, name, number("unshare"), 0x04000000) == 0, "other namespaces are the capabilities' business"
    assert errno_of(lab, name, number("umount2"), 0, 1) == 13
    for command_, want in ((0x5412, EPERM), (0x541C, EPERM), (0x100005412, EPERM), (0x5413, 9)):
        assert errno_of(lab, name, number("ioctl"), 99, command_) == want, hex(command_)
    assert errno_of(lab, name, number("getpid")) == 0


def test_no_way_around_by_another_abi(lab: Lab, ask: Path) -> None:
    name = make(lab, ask, "abi")
    assert errno_of(lab, name, number("open_by_handle_at") | calls.X32_BIT, -1, -1, -1) == ENOSYS
    assert errno_of(lab, name, number("getpid") | calls.X32_BIT) == ENOSYS
    plain = subprocess.run([ask, "-32", str(number("getpid", calls.X86))], capture_output=True, text=True, check=False)
    if plain.stdout != "0\n":
        pytest.skip("this kernel has no 32-bit entry")
    assert errno_of(lab, name, "-32", number("open_by_handle_at", calls.X86), -1, -1, -1) == EPERM
    assert errno_of(lab, name, "-32", number("getpid", calls.X86)) == 0


def test_it_can_be_turned_off(lab: Lab, ask: Path) -> None:
    name = make(lab, ask, "off", "lxc.seccomp.profile = none")
    assert errno_of(lab, name, number("keyctl"), 0, -3, 0) != ENOSYS
    assert lab.ok("execute", name, "--", "/bin/grep", "Seccomp:", "/proc/1/status").split() == ["Seccomp:", "0"]


POLICY = """2
denylist errno 5
[all]
getppid
getuid errno 77
mkdir
ioctl errno 9 [1,0x1234,SCMP_CMP_EQ]
[arm64]
getpid
"""


@pytest.mark.parametrize("line", ["", "lxc.no_new_privs = 1", "lxc.cap.drop = sys_admin"])
def test_a_policy_is_in_force_for_init_payload_and_attach(any_lab: Lab, ask: Path, tmp_path: Path, line: str) -> None:
    name = make(any_lab, ask, "policy", compiled(tmp_path / "web.seccomp", POLICY), *([line] if line else []))
    assert errno_of(any_lab, name, number("getppid")) == 5
    assert errno_of(any_lab, name, number("getuid")) == 77
    assert errno_of(any_lab, name, number("getpid")) == 0
    assert errno_of(any_lab, name, number("bpf"), 99) != EPERM, "a policy stands in the place of the built-in list"
    any_lab.ok("execute", "-d", name, "--", "/bin/sleep", "1000")
    attached = any_lab.sampan("attach", name, "--", "/bin/ask", str(number("getuid")))
    assert attached.stdout == "77\n", attached.stderr
    elevated = any_lab.sampan("attach", name, "-e", "--", "/bin/ask", str(number("getuid")))
    assert elevated.stdout == "0\n", "-e is outside of its limits"
    assert any_lab.attach(name, "grep Seccomp: /proc/1/status").stdout.split() == ["Seccomp:", "2"]
    any_lab.ok("stop", "-k", name)


def test_a_policy_is_in_force_for_a_plain_user(lab: Lab, ask: Path, tmp_path: Path) -> None:
    name = make(lab, ask, "user", compiled(tmp_path / "p", POLICY), "lxc.init.uid = 1000", "lxc.init.gid = 1000")
    assert errno_of(lab, name, number("getuid")) == 77
    assert lab.ok("execute", name, "--", "/bin/grep", "Seccomp:", "/proc/1/status").split() == ["Seccomp:", "2"]


def test_a_system_container_and_its_attach_have_the_built_in_list(any_lab: Lab, ask: Path) -> None:
    name = make(any_lab, ask, "system", "lxc.mount.auto = proc")
    any_lab.ok("start", name)
    assert any_lab.attach(name, f"/bin/ask {number('keyctl')}").stdout == "38\n"
    assert (
        any_lab.attach(name, "grep -h Seccomp: /proc/1/status /proc/self/status").stdout.split()
        == ["Seccomp:", "2"] * 2
    )
    any_lab.ok("stop", "-k", name)


def test_an_allowlist_kills(lab: Lab, ask: Path, tmp_path: Path) -> None:
    """Everything but getppid is allowed; the call that is not ends the program."""
    names = [call for call in calls.table(calls.X86_64) if call != "getppid"]
    name = make(lab, ask, "allow", compiled(tmp_path / "p", "2\nallowlist\n[all]\n" + "\n".join(names) + "\n"))
    assert errno_of(lab, name, number("getpid")) == 0
    done = lab.sampan("execute", name, "--", "/bin/ask", str(number("getppid")))
    assert done.returncode == 128 + 31 and done.stdout == "", done.stderr


def refused(lab: Lab, name: str) -> str:
    done = lab.sampan("execute", name, "--", "/bin/true")
    assert done.returncode == 125 and lab.left_behind() == []
    return done.stderr


def test_what_is_not_compiled_or_stale_is_refused_with_the_command(lab: Lab, tmp_path: Path) -> None:
    policy = tmp_path / "web.seccomp"
    name = lab.make("stale", f"lxc.seccomp.profile = {policy}")
    assert "is not there" in refused(lab, name)
    policy.write_text(POLICY)
    said = refused(lab, name)
    assert "has not been compiled" in said and f"sampan seccomp compile --arch {ARCH} {policy}" in said
    compiled(policy, POLICY)
    lab.ok("execute", name, "--", "/bin/true")
    policy.write_text(POLICY + "reboot\n")
    assert "was changed after it had been compiled" in refused(lab, name)
    policy.unlink()
    lab.ok("execute", name, "--", "/bin/true")
    blob = tmp_path / f"web.seccomp.{ARCH}.bpf"
    good = blob.read_bytes()
    damaged = [b"", good[:-1], good[:30], good + b"x", b"x" + good[1:], good[:12] + struct.pack("<I", 5000) + good[16:]]
    for data in damaged:
        blob.write_bytes(data)
        assert "is no compiled policy" in refused(lab, name)
    CliRunner().invoke(command, ["compile", "--arch", "armv7", str(policy)])
    blob.write_bytes(good[:8] + struct.pack("<I", calls.ARM.audit) + good[12:])
    assert "another architecture" in refused(lab, name)
