"""A program for python-lxc, and what it prints with liblxc."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sampan.core.paths import ROOT

PROGRAM = ROOT / "tests/data/python/lxc_update.py"
#: What PROGRAM printed with python3-lxc 5.0.0 and liblxc 5.0.2 of Debian 12.
SEEN = (ROOT / "tests/data/python/lxc_update.txt").read_text().splitlines()


def run(program: Path, environment: dict[str, str], *words: object) -> list[str]:
    """What it prints."""
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


def run_on(target: str, folder: Path, *words: object) -> list[str]:
    """What PROGRAM prints with one line changed."""
    text = PROGRAM.read_text()
    assert text.count("\nimport lxc\n") == 1
    path = folder / "over.py"
    path.write_text(text.replace("\nimport lxc\n", f"\nimport sampan; lxc = sampan.connect({target!r}).lxc\n"))
    return run(path, {"PYTHONPATH": str(ROOT)}, *words)
