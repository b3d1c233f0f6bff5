"""Two hundred app containers at once: all up, all reachable, memory in proportion, nothing left behind."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runtime_lab import Lab, make_root

MANY = 200
KB_EACH = 150  #: the bar for one supervisor's own memory


def private_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def test_two_hundred_at_once(lab: Lab) -> None:
    shared = lab.path / "root"
    make_root(shared)
    names = [f"{lab.prefix}-many{number}" for number in range(MANY)]
    lab.names += names
    for name in names:
        (lab.lxc / name).mkdir()
        lines = (f"lxc.rootfs.path = {shared}", "lxc.net.0.type = empty", "lxc.cgroup.devices.deny = a", "")
        (lab.lxc / name / "config").write_text("\n".join(lines))
    with ThreadPoolExecutor(4) as few:
        for said in few.map(lambda name: lab.sampan("execute", "-d", name, "--", "/bin/sleep", "1000"), names):
            assert said.returncode == 0, said.stderr
        assert lab.ok("ls", "--running").split() == sorted(names)
        reached = few.map(lambda name: lab.attach(name, "echo $((6 * 7))").stdout, names)
        assert list(reached) == ["42\n"] * MANY
        used = [private_kb(lab.state(name)["supervisor"]) for name in (names[0], names[MANY // 2], names[-1])]
        assert max(used) <= KB_EACH, used
        assert max(used) - min(used) <= 8, f"the last takes more than the first: {used} kB"
        for said in few.map(lambda name: lab.sampan("stop", "-k", name), names):
            assert said.returncode == 0, said.stderr
    assert lab.left_behind() == []
    assert not [f for f in os.listdir("/proc") if f.isdigit() and lab.prefix.encode() in cmdline(f)]


def cmdline(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
