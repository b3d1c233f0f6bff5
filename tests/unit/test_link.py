"""Linking past zig's driver: what is taken from the command that it shows."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from sampan.build.link import OPTIONS, OUTLINE, PROMOTE, link_command
from sampan.core.errors import SampanError

DRIVER = """\
import os, sys
assert os.environ["ZIG_VERBOSE_LINK"] == "1"
out = sys.argv[sys.argv.index("-o") + 1]
print("warning: ld.lld is quiet", file=sys.stderr)
print("ld.lld -r -m elf_i386 -o zig/o/1/crt1.o zig/o/4/start.o", file=sys.stderr)  # with a cold cache
print({line!r}.format(out=out), file=sys.stderr)
"""


def driver(folder: Path, line: str) -> list[str]:
    script = folder / "driver.py"
    script.write_text(DRIVER.format(line=line))
    return [sys.executable, str(script)]


@pytest.mark.parametrize(
    ("machine", "options", "others"),
    [
        ("armelf_linux_eabi", (*OPTIONS, *OUTLINE, *PROMOTE), ()),
        ("elf_i386", OPTIONS, OUTLINE),
        ("elf_odd", OPTIONS, ()),
    ],
)
def test_the_objects_take_the_place_of_the_probe(
    tmp_path: Path, machine: str, options: tuple[str, ...], others: tuple[str, ...]
) -> None:
    line = f"ld.lld -s -m {machine} -o {{out}} zig/o/1/crt1.o zig/o/2/probe.o --as-needed 'zig/o/3/libc.a'"
    words = link_command(driver(tmp_path, line), "zig", ["a.o", "b.o"], "program")
    assert words[:2] == ["zig", "ld.lld"]
    assert shlex.join(words).endswith("-o program zig/o/1/crt1.o a.o b.o --as-needed zig/o/3/libc.a")
    chosen = [word for before, word in zip(words, words[1:], strict=False) if before == "-mllvm"]
    assert set(options) <= set(chosen) and not set(others) & set(chosen)


@pytest.mark.parametrize("line", ["", "ld.lld -m elf_i386 -o {out} crt1.o libc.a", "ld.lld -m elf_i386 probe.o"])
def test_a_driver_that_shows_nothing_of_use_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(SampanError, match="does not show how it links"):
        link_command(driver(tmp_path, line), "zig", ["a.o"], "program")
