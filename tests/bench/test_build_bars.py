"""The build's bars: what a no-op costs, and how large a root file system may be.

    .venv/bin/python -m pytest tests/bench/test_build_bars.py -s

Not part of the test-suite: CPU time on a busy machine says little about a commit.
"""

from __future__ import annotations

import resource
import subprocess

import pytest

from sampan.board import load
from sampan.build import scons, size
from sampan.core import paths

NOOP_SECONDS = 0.5  #: CPU, one board
ROUNDS = 5


def _cpu_of(argument: str) -> float:
    """CPU seconds, user and system, of one run of SCons that has nothing to do."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        scons.command([argument]), cwd=paths.ROOT, env=scons.environment(), capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "up to date" in done.stdout
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.fixture(scope="module")
def boards() -> list[str]:
    """All boards, built."""
    names = load.names()
    scons.build(names)
    return names


def test_a_noop_is_cheap(boards: list[str]) -> None:
    table = {name: min(_cpu_of(f"board={name}") for _ in range(ROUNDS)) for name in (*boards, "all")}
    print("\nno-op, CPU seconds (best of", ROUNDS, "runs)")
    for name, seconds in table.items():
        print(f"  {name:<12} {seconds:5.2f}")
    assert max(table[name] for name in boards) <= NOOP_SECONDS


def test_root_file_systems_are_small(boards: list[str]) -> None:
    reports = {name: size.report(paths.build_dir() / name) for name in boards}
    print("\nrootfs.cpio.gz without kernel modules, bytes")
    for name, report in reports.items():
        print(f"  {name:<12} {report.core:7}  of {report.cap}")
    assert all(report.headroom >= 0 for report in reports.values())
