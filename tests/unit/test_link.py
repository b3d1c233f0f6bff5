"""Linking past zig's driver: what is taken from the command that it shows."""

from __future__ import annotations

import shlex
import struct
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from sampan.build.link import OPTIONS, OUTLINE, PROMOTE, link_command, trim
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


@pytest.mark.parametrize("word", ["<Q", "<I"], ids=["64", "32"])
def test_a_part_of_zeros_takes_no_place_in_the_file(tmp_path: Path, word: str) -> None:
    """What runs ends at 300 of its page; the linker has put the zeros' place on the next, and something behind."""
    program = tmp_path / "program"
    program.write_bytes(two_parts(word))
    trim(program)
    assert program.stat().st_size == 300
    with program.open("rb") as file:
        code, zeros = ELFFile(file).iter_segments()
        assert (code["p_offset"], code["p_filesz"], code["p_flags"]) == (0, 300, 5)
        assert (zeros["p_offset"], zeros["p_filesz"]) == (0, 0)
        assert (zeros["p_vaddr"], zeros["p_memsz"], zeros["p_flags"]) == (0x12000, 5000, 6)


def two_parts(word: str) -> bytes:
    """An ELF file whose second part is all zero, and lies at 4096."""
    wide = word == "<Q"
    size, entry = (64, 56) if wide else (52, 32)
    head = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    head += struct.pack(f"<HHI3{word[1]}I6H", 2, 62 if wide else 3, 1, 0, size, 0, 0, size, entry, 2, 0, 0, 0)
    for flags, offset, address, filled, whole in ((5, 0, 0x10000, 300, 300), (6, 4096, 0x12000, 0, 5000)):
        rest = (offset, address, address, filled, whole)
        head += struct.pack("<II6Q", 1, flags, *rest, 4096) if wide else struct.pack("<8I", 1, *rest, flags, 4096)
    return head.ljust(4096, b"\1") + b"behind"
