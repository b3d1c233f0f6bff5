"""The pytest plugin on a target that is there: a shell on a pty."""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_board import Board, running
from runtime_lab import need_host

from sampan.core.paths import ROOT, build_dir

pytest_plugins = ["pytester"]

_TESTS = """
import os
import pytest

def test_run(target):
    assert target.run("echo here").check().output == "here\\n"

def test_says(target):
    target.run("true")
    with open(os.environ["SLAVE"], "wb", opener=lambda path, flags: os.open(path, flags | os.O_NOCTTY)) as tty:
        tty.write(b"said by the board\\r\\n")
    target.run("true")
    assert target.run("exit 1").status == 0

@pytest.mark.sampan_board("qemuarm*")
def test_for_others(target):
    pass

@pytest.mark.sampan_cgroup("v7")
def test_layout(target):
    pass

@pytest.mark.sampan_feature("Overlay", "CONFIG_PID_NS")
def test_feature(target):
    pass

@pytest.mark.sampan_feature("no such")
def test_no_such_feature(target):
    pass

def test_without_a_target():
    pass

@pytest.mark.parametrize("number", [1, 2])
def test_containers(container_factory, number):
    box = container_factory("lxc.net.0.type = empty\\nlxc.init.cmd = /bin/sleep 100", template="TEMPLATE")
    assert box.running and box.run(["echo", "in"]).output == "in\\n"

def test_a_bad_container(container_factory):
    container_factory("lxc.tty.max = many")
"""


@pytest.fixture(scope="module")
def line(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    need_host()
    with running(tmp_path_factory.mktemp("b"), runtime_binary) as board:
        yield board


def template(folder: Path) -> Path:
    path = folder / "lxc-mini"
    busybox = build_dir() / "arch/x86_64/busybox/base/busybox"
    if not busybox.is_file():
        pytest.skip("no busybox for x86-64 is built")
    copy = f'mkdir -p "$root/bin" "$root/proc" "$root/dev" && cp {busybox} "$root/bin/busybox"'
    link = 'for name in sleep echo; do ln -s busybox "$root/bin/$name"; done'
    path.write_text(
        f"#!/bin/sh\nfor word; do case $word in --rootfs=*) root=${{word#*=}};; esac; done\n{copy}\n{link}\n"
    )
    path.chmod(0o755)
    return path


def plugin() -> list[str]:
    """The plugin by name where sampan is not installed (a bare checkout in the path)."""
    installed = any(each.value == "sampan.lab.plugin" for each in importlib.metadata.entry_points(group="pytest11"))
    return [] if installed else ["-p", "sampan.lab.plugin"]


def test_a_suite_on_a_target(line: Board, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLAVE", line.tty)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(_TESTS.replace("TEMPLATE", str(template(pytester.path))))
    words = [*plugin(), "-p", "no:cacheprovider", "-rs", "-n", "2"]
    result = pytester.runpytest_subprocess(*words, "--strict-markers", "--sampan-target", line.url)
    result.assert_outcomes(passed=5, failed=2, skipped=2, errors=1)
    text = result.stdout.str()
    assert f"Console of {line.url}" in text and "said by the board" in text, "the console's log is shown with a failure"
    assert "for qemuarm*, not a board without a name" in text and "for cgroup v7, not" in text
    assert "no such feature: no such" in text and "lxc.tty.max = many: no value of this key" in text
    assert not list(Path("/var/lib/lxc").glob("t-*test-containers*")), "containers go with their test"


def test_without_options_it_says_what_is_missing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile("def test_one(target, board): pass\ndef test_two(container_factory): pass")
    result = pytester.runpytest_subprocess(*plugin(), "-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*no target: --sampan-board BOARD starts one in QEMU*"])
    both = pytester.runpytest_subprocess(*plugin(), "--sampan-board", "a", "--sampan-target", "b")
    assert both.ret == pytest.ExitCode.USAGE_ERROR
    pytester.makepyfile("import pytest\n@pytest.mark.sampan_guest('new')\ndef test_one(target): pass")
    wrong = pytester.runpytest_subprocess(*plugin(), "--sampan-board", "qemuarm")
    wrong.stdout.fnmatch_lines(["*sampan_guest('new'): one of clone, boot, shared*"])


def test_pytest_finds_the_plugin() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {"sampan": "sampan.lab.plugin"}
