"""The linters, as tests: a commit that does not pass them does not land."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sampan.core.paths import ROOT


@pytest.mark.parametrize(
    "argv",
    [["ruff", "check", "--no-cache", "."], ["ruff", "format", "--no-cache", "--check", "."], ["mypy"]],
    ids=["ruff-check", "ruff-format", "mypy"],
)
def test_clean(argv: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "floor", ["core", "board", "config", "devices", "build", "serial", "qemu", "control", "lab", "cli"]
)
def test_imports_point_down(floor: str) -> None:
    order = ["core", "board", "config", "devices", "build", "serial", "qemu", "control", "lab", "cli"]
    above = order[order.index(floor) + 1 :]
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "sampan" / floor).rglob("*.py")
        for line in path.read_text().splitlines()
        if any(line.strip().startswith((f"from sampan.{up}", f"import sampan.{up}")) for up in above)
    ]
    assert not wrong
