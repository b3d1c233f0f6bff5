"""`sampan on` against booted boards: from a login prompt to a container, over each kind of UART and a port."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lxc_program import SEEN, run_on

import sampan
from sampan.control.remote import Target
from sampan.core.errors import SampanError
from sampan.qemu import vm
from sampan.qemu.machine import BootOptions

#: LXC's own busybox template says `lxc.tty.max = 1`, too.
SEEN_HERE = ["tty: '1'" if line == "tty: '0'" else line for line in SEEN]


@pytest.mark.parametrize(
    ("board", "line"), [("qemux86-64", "instant"), ("qemuarm", "instant"), ("qemuarm", ""), ("qemuarm64", "")]
)
def test_a_container_over_the_console_or_the_agents_port(
    board: str,
    line: str,
    folder_of: Callable[[str], Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One boot for all of it: log in, run, move files, a container's life, a reboot in the middle."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
    name = f"on-{board}"
    vm.up(str(folder_of(board)), name, BootOptions(snapshot=True, line=line))
    try:
        target: Target = sampan.connect(f"qemu:{board}:{name}")
        programs(target, board)
        assert ("/dev/vport" in target.run("ls -l /proc/$PPID/fd").output) == (not line)
        files(target, tmp_path)
        container(target)
        assert run_on(target.line.target, tmp_path, "update", "busybox", "/var/lib/lxc") == SEEN_HERE
        with pytest.raises(SampanError, match="agent|ended|machine"):
            target.run("sync; echo b >/proc/sysrq-trigger; sleep 100")
    finally:
        vm.down(name)


def programs(target: Target, board: str) -> None:
    machine = {"qemux86-64": "x86_64", "qemuarm": "armv7l", "qemuarm64": "aarch64"}[board]
    assert target.run(["uname", "-m"]).check().output.strip() == machine
    done = target.run("cat; echo no >&2; exit 3", stdin=b"a\0b")
    assert (done.status, done.stdout, done.stderr) == (3, b"a\0b", b"no\n")
    target.run("for i in 1 2 3 4 5; do echo '<3>a kernel message' >/dev/kmsg; done").check()


def files(target: Target, tmp_path: Path) -> None:
    data = os.urandom(6000) + b"text\n" * 1000
    (tmp_path / "file").write_bytes(data)
    target.push(tmp_path / "file", "/tmp/file")
    target.pull("/tmp/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def container(target: Target) -> None:
    web = target.container("sys_elinux")
    assert not web.defined
    assert web.load_config("/usr/share/sampan/containers/sys_elinux.fixed.config")
    assert web.create("busybox")
    assert web.start()
    assert web.wait("RUNNING", 30) and web.init_pid > 1
    assert web.run(["cat", "/proc/1/comm"]).output == "init\n"
    assert web.run(["sh", "-c", "exit 9"]).status == 9
    assert not web.start()  # it runs already
    assert web.shutdown(60) and web.state == "STOPPED"
    assert web.destroy() and target.containers() == []
