"""A step depends on all that its module runs: the closure of imports must miss nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sampan.build import imports, session
from sampan.core.errors import SampanError
from sampan.core.paths import ROOT

ACTIONS = ("rootfs", "cpio", "ext4", "squashfs", "kernel", "busybox", "assemble", "elfcheck", "toolchain", "containers")


@pytest.mark.parametrize("name", ACTIONS)
def test_every_file_an_action_loads_is_known(name: str) -> None:
    """Python's own list of loaded modules is the judge."""
    module = f"sampan.build.{name}"
    code = f"import sys, {module}\nfor m in list(sys.modules.values()):\n print(getattr(m, '__file__', None) or '')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {Path(line) for line in done.stdout.splitlines() if line.startswith(str(ROOT / "sampan"))}
    assert ROOT / "sampan" / "build" / f"{name}.py" in loaded
    assert loaded <= set(imports.of(module).files)


def test_packages_are_known_by_what_pip_recorded() -> None:
    names = {path.parent.name.partition("-")[0] for path in imports.of("sampan.build.elfcheck").packages}
    assert {"pyelftools", "msgspec"} <= names


def test_an_import_is_found_however_it_is_written(tmp_path: Path) -> None:
    package = tmp_path / "tree" / "deep"
    package.mkdir(parents=True)
    for path in ("tree/__init__.py", "tree/deep/__init__.py", "tree/a.py", "tree/b.py", "tree/c.py", "tree/deep/d.py"):
        (tmp_path / path).write_text("")
    (package / "e.py").write_text("import tree.a as x, os\n")
    (package / "main.py").write_text(
        "from tree import (  # one\n    b,  # two\n)\nfrom . import d\nfrom .e import thing\n"
        "def late():\n    from ..c import other\n"
    )
    found = imports.of("tree.deep.main", tmp_path).files
    names = {path.relative_to(tmp_path).as_posix() for path in found}
    wanted = {
        f"tree/{name}.py" for name in ("__init__", "a", "b", "c", "deep/__init__", "deep/d", "deep/e", "deep/main")
    }
    assert names == wanted


def test_boards_are_chosen_once_each() -> None:
    assert session.chosen("qemuarm,qemux86,qemuarm") == ["qemuarm", "qemux86"]
    assert {"qemuarm", "qemuarm64", "qemux86", "qemux86-64"} <= set(session.chosen("all"))
    with pytest.raises(SampanError, match="no board"):
        session.chosen(",")


def test_the_environment_of_a_step_holds_nothing_of_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = session.environment("1")
    for name in ("LC_ALL", "TZ", "PATH", "CFLAGS", "CC", "PYTHONPATH", "SOURCE_DATE_EPOCH", "MAKEFLAGS"):
        monkeypatch.setenv(name, "elsewhere")
    assert session.environment("1") == before
    assert before["SOURCE_DATE_EPOCH"] == "1" and "elsewhere" not in before.values()


def test_a_compiler_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "arm-poky-gcc"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert session.resolved("arm-poky-gcc -mthumb --sysroot=/x") == f"{program} -mthumb --sysroot=/x"
    assert session.resolved("no-such-gcc -O2") == "no-such-gcc -O2"
