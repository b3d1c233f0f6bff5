"""The wrapper: one call makes the environment, the next ones do not, wherever it is called from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sampan.core.paths import ROOT

#: What `sampan --version` imports: enough to prove the wrapper without fetching a compiler.
FEW = ("click",)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("a folder") / "clone"
    shutil.copytree(ROOT / "sampan", root / "sampan", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("sampanw", "pyproject.toml"):
        shutil.copy2(ROOT / name, root)
    text = (ROOT / "requirements.txt").read_text()
    blocks = re.findall(rf"^(?:{'|'.join(FEW)})==.*?(?=^\S|\Z)", text, re.M | re.S)
    assert len(blocks) == len(FEW)
    (root / "requirements.txt").write_text("".join(blocks))
    return root


def call(program: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *args], cwd="/", env=os.environ | env, capture_output=True, text=True, check=False
    )


def test_it_makes_the_environment_once(checkout: Path) -> None:
    first = call(checkout / "sampanw", "--version")
    assert first.returncode == 0, first.stderr
    assert "making .venv" in first.stderr
    assert first.stdout.startswith("sampan")
    (points,) = checkout.glob(".venv/lib/python3*/site-packages/sampan-0.dist-info/entry_points.txt")
    assert points.read_text() == "[pytest11]\nsampan = sampan.lab.plugin\n"
    second = call(checkout / "sampanw", "--version")
    assert (second.returncode, second.stderr) == (0, "")


def test_it_works_through_a_link_from_another_folder(checkout: Path, tmp_path: Path) -> None:
    call(checkout / "sampanw", "--version")
    link = tmp_path / "link"
    link.symlink_to(checkout / "sampanw")
    done = call(link, "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_variables_that_change_scons_or_python_do_not_get_through(checkout: Path, tmp_path: Path) -> None:
    call(checkout / "sampanw", "--version")
    (tmp_path / "click.py").write_text("raise SystemExit('hijacked')")
    show = "import os\nprint(sorted(n for n in os.environ if n in ('SCONSFLAGS', 'PYTHONPATH')))\n"
    main = checkout / "sampan/__main__.py"
    original = main.read_text()
    main.write_text(show)
    try:
        done = call(checkout / "sampanw", SCONSFLAGS="-n", PYTHONPATH=str(tmp_path))
    finally:
        main.write_text(original)
    assert done.stdout == "[]\n", done.stderr


def test_an_interrupted_environment_is_made_again(checkout: Path) -> None:
    call(checkout / "sampanw", "--version")
    (checkout / ".venv/sampan.stamp").unlink()
    shutil.rmtree(checkout / ".venv/lib")
    again = call(checkout / "sampanw", "--version")
    assert again.returncode == 0, again.stderr
    assert "making .venv" in again.stderr


def test_changed_requirements_make_it_anew_and_a_wrong_hash_is_refused(checkout: Path) -> None:
    requirements = checkout / "requirements.txt"
    good = requirements.read_text()
    requirements.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, good))
    try:
        bad = call(checkout / "sampanw", "--version")
    finally:
        requirements.write_text(good)
    assert bad.returncode == 3
    assert "pip could not install the pinned requirements" in bad.stderr
    repaired = call(checkout / "sampanw", "--version")
    assert repaired.returncode == 0, repaired.stderr


def test_a_python_without_venv_is_said(checkout: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\ncase $* in *version_info*) exit 1;; --version) echo Python 3.9.2;; esac\n")
    old.chmod(0o755)
    done = call(checkout / "sampanw", "--version", PYTHON=str(old))
    assert done.returncode == 3
    assert "Python 3.9.2 is too old" in done.stderr
