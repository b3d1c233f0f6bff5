"""A program for python-lxc does over the line what it does with liblxc, and every name of liblxc's is there."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxc_program import PROGRAM, SEEN, run, run_on
from pty_board import Board, running
from runtime_lab import need_host

import sampan
from sampan.control.remote import Target
from sampan.core.errors import SampanError
from sampan.core.paths import build_dir

#: liblxc prints null pointers, times with a unit, and a folder that the runtime has no use for.
_OTHER = {
    *("lxc.cgroup.dir" + end for end in ("", ".container", ".container.inner", ".monitor", ".monitor.pivot")),
    *("lxc.time.offset.boot", "lxc.time.offset.monotonic", "lxc.rootfs.mount"),
}
_TEMPLATE = """#!/bin/sh
set -e
for word; do case $word in --rootfs=*) root=${word#*=};; esac; done
mkdir -p $root/bin $root/proc $root/sys $root/dev $root/tmp $root/etc
cp BUSYBOX $root/bin/busybox
for name in sh sleep true false hostname cat id pwd test; do ln -sf busybox $root/bin/$name; done
"""


@pytest.fixture(scope="module")
def board(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    need_host()
    with running(tmp_path_factory.mktemp("b"), runtime_binary) as board:
        yield board


@pytest.fixture(scope="module")
def target(board: Board) -> Target:
    return sampan.connect(board.url)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("t") / "lxc-mini"
    busybox = build_dir() / "arch/x86_64/busybox/base/busybox"
    if not busybox.is_file():
        pytest.skip("no busybox for x86-64 is built")
    path.write_text(_TEMPLATE.replace("BUSYBOX", str(busybox)))
    path.chmod(0o755)
    return path


def test_a_program_runs_over_the_line_by_changing_one_line(board: Board, template: Path, tmp_path: Path) -> None:
    assert run_on(board.url, tmp_path, f"pyapi{os.getpid()}", template, tmp_path / "lxc") == SEEN


def test_the_same_program_with_liblxc_itself(template: Path, tmp_path: Path) -> None:
    """What is compared with is still what python-lxc says."""
    (tmp_path / "lxc").mkdir()
    environment = {"PYTHONPATH": str(binding().parents[1])}
    assert run(PROGRAM, environment, f"pyreal{os.getpid()}", template, tmp_path / "lxc") == SEEN


def test_every_name_of_python_lxc_is_there(target: Target) -> None:
    """With the same arguments in the same order; and its numbers are the same."""
    numbers, names, signatures = ask_binding(
        "[{n: getattr(lxc, n) for n in dir(lxc) if n.startswith(('LXC_', 'CLONE_'))},"
        "[n for n in dir(lxc.Container) if not n.startswith('_')],"
        "{n: list(inspect.signature(f).parameters) for n, f in vars(lxc.Container).items() if n[0] != '_'}]"
    )
    assert numbers == {name: getattr(target.lxc, name) for name in numbers}
    box = target.lxc.Container("box")
    assert [name for name in names if not hasattr(type(box), name)] == []
    for name, words in signatures.items():
        assert list(inspect.signature(getattr(type(box), name)).parameters)[: len(words)] == words, name
    functions = ("list_containers", "get_global_config_item", "arch_to_personality", "attach_run_command")
    assert all(callable(getattr(target.lxc, name)) for name in (*functions, "attach_run_shell"))


def test_defaults_are_those_of_liblxc(target: Target) -> None:
    """The value of each key that is not set, for the keys that both have."""
    before = "c = lxc.Container('x'); c.set_config_item('lxc.uts.name', 'x'); n = ('lxc.hook', 'lxc.include')"
    real = ask_binding("{k: c.get_config_item(k) for k in c.get_keys() if k not in n}", before)
    box = target.lxc.Container("x")
    assert box.set_config_item("lxc.uts.name", "x")
    ours = {key: box.get_config_item(key) for key in box.get_keys() if key in real}
    assert len(ours) > 60
    assert {key for key, value in ours.items() if real[key] != value} <= _OTHER


def ask_binding(expression: str, before: str = "pass") -> Any:
    """A value of python-lxc's, from a process of its own."""
    script = f"import inspect, json, lxc\n{before}\nprint(json.dumps({expression}))"
    environment = os.environ | {"PYTHONPATH": str(binding().parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def binding() -> Path:
    """Debian's python3-lxc."""
    found = Path("/usr/lib/python3/dist-packages/lxc/__init__.py")
    if not found.is_file() or sys.version_info[:2] != (3, 11):
        pytest.skip("needs python3-lxc for this Python")
    return found


def test_what_goes_on_inside(target: Target, template: Path, tmp_path: Path) -> None:
    """What a transcript does not show: descriptors, the console, devices, the rest of an interface."""
    name = f"pyin{os.getpid()}"
    box = target.lxc.Container(name, str(tmp_path))
    box.network.add("empty")
    assert box.set_config_item("lxc.init.cmd", "/bin/sh") and box.create(str(template)) and box.start()
    try:
        with (tmp_path / "out").open("w") as out:
            words = ["sh", "-c", "cat; echo no >&2"]
            (tmp_path / "in").write_bytes(b"text")
            with (tmp_path / "in").open() as given:
                how = {"stdin": given, "stdout": out, "stderr": out.fileno()}
                assert box.attach_wait(target.lxc.attach_run_command, words, **how) == 0
        assert (tmp_path / "out").read_text() == "textno\n"
        assert box.attach(target.lxc.attach_run_command, ["true"]) > 1
        with pytest.raises(TypeError, match="no function of here"):
            box.attach_wait(lambda words: 0, [])
        with pytest.raises(TypeError, match="nosuch"):
            box.attach_wait(target.lxc.attach_run_command, ["true"], nosuch=1)
        assert box.run(["sh", "-c", "echo $0"]).output == "sh\n"
        fd = box.console_getfd(0)
        os.write(fd, b"echo con''sole\n")
        seen = b""
        while b"console" not in seen:
            seen += os.read(fd, 4096)
        os.close(fd)
        assert box.add_device_node("/dev/full", "/dev/brim")
        assert box.run(["test", "-c", "/dev/brim"]).ok and box.remove_device_node("/dev/full", "/dev/brim")
        assert not box.run(["test", "-e", "/dev/brim"]).ok and not box.add_device_node("/dev/no-such")
    finally:
        assert box.stop() and box.destroy()


def test_console_and_power_of_a_line(
    board: Board, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with target.console() as console:
        console.write("echo con''sole\n")
        console.expect("console", timeout=60)
    assert target.run("echo on").output == "on\n"
    monkeypatch.chdir(tmp_path)
    switches = f'power_on = "touch {tmp_path}/on"\npower_off = "rm {tmp_path}/on"\n'
    (tmp_path / "targets.toml").write_text(f'[bench]\nline = "{board.url}"\n{switches}')
    bench = sampan.connect("bench")
    bench.power.on()
    assert (tmp_path / "on").exists() and bench.power.state == ""
    bench.power.off()
    assert not (tmp_path / "on").exists()
    with pytest.raises(SampanError, match="nothing here switches its power"):
        target.power.cycle()


def test_unsaved_changes_count_and_are_not_saved(target: Target, template: Path, tmp_path: Path) -> None:
    name = f"pyun{os.getpid()}"
    box = target.container(name)
    box.set_config_path(str(tmp_path))
    box.network.add("empty")
    box.set_config_item("lxc.init.cmd", "/bin/sleep 1000")
    assert box.create(str(template))
    saved = Path(box.config_file_name).read_text()
    assert box.set_config_item("lxc.uts.name", "other") and box.start()
    try:
        assert box.run(["hostname"]).output == "other\n"
        assert box.get_running_config_item("lxc.uts.name") == "other"
        assert Path(box.config_file_name).read_text() == saved
    finally:
        assert box.stop() and box.destroy() and not Path(box.config_file_name).exists()


def test_a_file_keeps_what_a_person_wrote(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "mine" / "config"
    path.parent.mkdir()
    path.write_text("# of 2012\nlxc.utsname = mine\n\nlxc.tty = 2\n")
    box = target.lxc.Container("mine", str(tmp_path))
    assert (box.get_config_item("lxc.uts.name"), box.get_config_item("lxc.tty.max")) == ("mine", "2")
    assert box.set_config_item("lxc.tty.max", "4") and box.save_config()
    assert path.read_text() == "# of 2012\nlxc.utsname = mine\n\nlxc.tty.max = 4\n"
    more = tmp_path / "more.conf"
    more.write_text("lxc.environment = A=1\n")
    assert box.append_config_item("lxc.include", str(more)) and box.get_config_item("lxc.environment") == ["A=1"]
    assert not box.append_config_item("lxc.include", str(tmp_path / "none"))
    assert box.load_config() and box.get_config_item("lxc.environment") == ""
