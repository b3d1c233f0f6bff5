"""A program for python-lxc does over the line what it does with liblxc, and every name of liblxc's is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_board import Board
from runtime_lab import need_host

import sampan
from sampan.control.remote import Target
from sampan.core.paths import ROOT, build_dir

PROGRAM = ROOT / "tests/data/python/lxc_update.py"
#: What PROGRAM printed with python3-lxc 5.0.0 and liblxc 5.0.2 of Debian 12.
SEEN = ROOT / "tests/data/python/lxc_update.txt"
BINDING = Path("/usr/lib/python3/dist-packages")
_TEMPLATE = """#!/bin/sh
set -e
for word; do case $word in --rootfs=*) root=${word#*=};; esac; done
mkdir -p $root/bin $root/proc $root/sys $root/dev $root/tmp $root/etc
cp BUSYBOX $root/bin/busybox
for name in sh sleep true false hostname cat id pwd ip stty; do ln -sf busybox $root/bin/$name; done
"""


@pytest.fixture(scope="module")
def board(runtime_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    need_host()
    folder = tmp_path_factory.mktemp("b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        running = Board(folder, runtime_binary)
        yield running
        running.close()


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


def run(program: Path, environment: dict[str, str], *words: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, program, *map(str, words)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def over_the_line(folder: Path, target: str) -> Path:
    """PROGRAM with one line changed."""
    text = PROGRAM.read_text()
    assert text.count("\nimport lxc\n") == 1
    path = folder / "over.py"
    path.write_text(text.replace("\nimport lxc\n", f"\nimport sampan; lxc = sampan.connect({target!r}).lxc\n"))
    return path


def test_a_program_runs_over_the_line_by_changing_one_line(board: Board, template: Path, tmp_path: Path) -> None:
    name = f"pyapi{os.getpid()}"
    program = over_the_line(tmp_path, board.url)
    assert run(program, {"PYTHONPATH": str(ROOT)}, name, template, tmp_path / "lxc") == SEEN.read_text().splitlines()


def test_the_same_program_with_liblxc_itself(template: Path, tmp_path: Path) -> None:
    """What is compared with is still what python-lxc says."""
    if not (BINDING / "lxc").is_dir() or sys.version_info[:2] != (3, 11):
        pytest.skip("needs python3-lxc for this Python")
    (tmp_path / "lxc").mkdir()
    name = f"pyreal{os.getpid()}"
    assert run(PROGRAM, {"PYTHONPATH": str(BINDING)}, name, template, tmp_path / "lxc") == SEEN.read_text().splitlines()
