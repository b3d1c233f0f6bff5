"""The pytest plugin with guests in QEMU: fresh for each test, one for all, several workers."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.core.paths import ROOT

pytest_plugins = ["pytester"]

_TESTS = """
import os, pytest

def note(kind, board):
    with open(os.environ["NOTES"], "a") as file:
        print(kind, os.environ.get("PYTEST_XDIST_WORKER", ""), board.machine.pid, file=file)

@pytest.mark.parametrize("number", range(3))
def test_fresh(target, board, number):
    assert not target.run("test -e /tmp/used").ok
    target.run("touch /tmp/used").check()
    note("fresh", board)

@pytest.mark.sampan_guest("shared")
@pytest.mark.parametrize("number", range(3))
def test_shared(target, board, number):
    note("shared", board)

@pytest.mark.sampan_cgroup("v1", "v2")
def test_layouts(target, board):
    assert f'"layout": "{board.cgroup}"' in target.verb("checkconfig", "--json").output

@pytest.mark.sampan_board("qemux86*")
def test_other_board(target):
    pass

def test_container(container_factory, target):
    web = container_factory()
    assert web.run(["sh", "-c", "echo in"]).output == "in\\n" and target.containers() == [web.name]

@pytest.mark.sampan_guest("clone", line="115200,ber=1e-6")
def test_panics(target):
    target.run("echo c >/proc/sysrq-trigger")
"""


def test_a_suite_of_guests(
    folder_of: Callable[[str], Path],
    pytester: pytest.Pytester,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = folder_of("qemuarm64")
    runtime = tmp_path_factory.mktemp("r")
    for name, value in (("PYTHONPATH", ROOT), ("XDG_RUNTIME_DIR", runtime), ("NOTES", pytester.path / "notes")):
        monkeypatch.setenv(name, str(value))
    pytester.makepyfile(_TESTS)
    installed = any(each.value == "sampan.lab.plugin" for each in importlib.metadata.entry_points(group="pytest11"))
    words = [*([] if installed else ["-p", "sampan.lab.plugin"]), "-p", "no:cacheprovider", "-rs", "-n", "2"]
    result = pytester.runpytest_subprocess(*words, "--sampan-board", str(folder))
    result.assert_outcomes(passed=9, failed=1, skipped=1)
    text = result.stdout.str()
    assert "Kernel panic - not syncing" in text and "the machine has ended: panic" in text
    assert "for qemux86*, not" in text
    notes = [line.split() for line in (pytester.path / "notes").read_text().splitlines()]
    fresh, shared = ([row[1:] for row in notes if row[0] == kind] for kind in ("fresh", "shared"))
    workers = {worker for worker, _ in shared}
    assert len({pid for _, pid in fresh}) == 3 and len(shared) == 3
    assert len({pid for _, pid in shared}) == len(workers), "one for all tests of a worker"
    until_nothing_is_left(runtime)


def until_nothing_is_left(runtime: Path) -> None:
    """No process of this run, and no folder of a machine or line."""
    end = time.monotonic() + 60
    mark = f"XDG_RUNTIME_DIR={runtime}".encode()
    while True:
        left = [str(path) for path in (runtime / "sampan").glob("*/*")]
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in entry.read_bytes().split(b"\0") and int(entry.parent.name) != os.getpid():
                    left.append(entry.parent.name)
            except OSError:
                continue
        if not left:
            return
        assert time.monotonic() < end, left
        time.sleep(0.1)
