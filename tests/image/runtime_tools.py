"""Builds the runtime's C tests with the host's compiler, as the tests of tests/image need them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import generated
import pytest

from sampan.core import paths
from sampan.core.run import run

RUNTIME = paths.ROOT / "runtime"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wformat=2", "-Werror")
STANDARD = ("-std=c11", "-D_GNU_SOURCE", f"-I{RUNTIME / 'src'}", f"-I{RUNTIME / 'tests'}", f"-I{RUNTIME / 'fuzz'}")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")

#: The files of the reader and the policy, which know nothing of starting containers.
READER = ["conf.c", *sorted(path.name for path in (RUNTIME / "src").glob("conf_*.c"))]
READER += ["inet.c", "ip.c", "rules.c", "util.c", "words.c", "symbol.c", "match.c"]
POLICY = ["rules.c", "util.c", "symbol.c", "match.c", "devpolicy_v1.c", "devpolicy_bpf.c"]


def compiler() -> str:
    """The host's C compiler, or a skip with the reason."""
    found = shutil.which("gcc")
    if not found:
        pytest.skip("needs gcc with its sanitizers (apt-get install gcc)")
    return found


def build(folder: Path, name: str, main: str, sources: Iterable[str]) -> Path:
    """An executable from runtime/`main` and `sources` of runtime/src, sanitized."""
    generated.write(folder / "gen")
    out = folder / name
    files = [RUNTIME / main, *(RUNTIME / "src" / source for source in sources)]
    run([compiler(), *STANDARD, *SANITIZED, *WARNINGS, f"-I{folder / 'gen'}", *files, "-o", out])
    return out
