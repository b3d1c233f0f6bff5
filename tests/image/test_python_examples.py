"""The examples of the documentation and of docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
from pty_board import running

import sampan.control
import sampan.serial
from sampan.core.paths import ROOT


def test_docs_python(runtime_binary: Path, tmp_path: Path) -> None:
    with running(tmp_path, runtime_binary) as board:
        words = {"board": board.url, "folder": str(tmp_path / "lxc")}
        failed, tried = doctest.testfile(str(ROOT / "docs/python.md"), module_relative=False, globs=words)
    assert tried > 15 and not failed


@pytest.mark.parametrize("package", [sampan.control, sampan.serial], ids=lambda package: package.__name__)
def test_docstrings(package: object) -> None:
    tried = 0
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):  # type: ignore[attr-defined]
        failures, count = doctest.testmod(importlib.import_module(found.name))
        assert not failures, found.name
        tried += count
    assert tried
