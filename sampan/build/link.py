"""Links a program of zig's objects: python -m sampan.build.link --out P --driver 'zig cc ... -flto' objects...

All of the program, libc too, is optimised as one while it is linked, by options of LLVM that zig's
driver does not pass on. So the driver is asked how it links a program of one empty function
(ZIG_VERBOSE_LINK), and the same command is run with the real objects and OPTIONS.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from sampan.build import action, toolchain
from sampan.core.errors import SampanError
from sampan.core.run import run

#: Equal functions become one, a function is put in the place of its call only where that makes the
#: caller smaller, and blocks are laid out so that jumps are few and short.
OPTIONS = ("-enable-merge-functions", "-inline-threshold=-20", "-apply-ext-tsp-for-size")
#: Sequences that occur often become functions.
OUTLINE = ("-enable-machine-outliner=always",)
#: One function saves the registers of many, and one gives them back.
FRAMES = ("-homogeneous-prolog-epilog",)
#: Short constants lie beside the code instead of their addresses.
PROMOTE = ("-arm-promote-constant", "-arm-promote-constant-max-size=256", "-arm-promote-constant-max-total=4096")
#: Structs are cleared and copied by `rep stos` and calls.
REPEAT = ("-max-store-memset=2", "-max-store-memcpy=1")
#: By the linker's name of the machine. On 32-bit x86 outlined sequences cost more than they save.
OPTIONS_OF = {
    "elf_i386": REPEAT,
    "elf_x86_64": OUTLINE + REPEAT,
    "aarch64linux": OUTLINE + FRAMES,
    "armelf_linux_eabi": OUTLINE + PROMOTE,
}

#: One part that runs and one of variables: fewer to map, and to copy by a fork. Nothing is relocated,
#: so nothing would ever be made read-only after that; and nobody reads the table of sections.
LAYOUT = ("-z", "nosectionheader", "-z", "norelro", "--no-rosegment", "--no-eh-frame-hdr")


def link_command(driver: Sequence[str], zig: str, objects: Sequence[str], out: str) -> list[str]:
    """The command of zig's linker for `objects`; SampanError when the driver does not show one."""
    with tempfile.TemporaryDirectory(prefix="sampan-link-") as folder:
        source = Path(folder, "probe.c")
        source.write_text("int main(void) { return 0; }\n", encoding="ascii")
        shown = run(
            [*driver, source, "-o", f"{folder}/probe"], env=toolchain.env() | {"ZIG_VERBOSE_LINK": "1"}
        ).stderr.splitlines()
        # With a cold cache it links parts of libc before.
        lines = [shlex.split(line) for line in shown if line.startswith("ld.lld ")]
        words = next((each for each in lines if f"{folder}/probe" in each), [])
        probes = [at for at, word in enumerate(words) if word.endswith("probe.o")]
        if len(probes) != 1:
            raise SampanError(
                "zig cc does not show how it links", hint="reinstall ziglang in the version of requirements.txt"
            )
    words[words.index(f"{folder}/probe")] = out
    machine = words[words.index("-m") + 1]
    chosen = [part for option in (*OPTIONS, *OPTIONS_OF.get(machine, ())) for part in ("-mllvm", option)]
    return [zig, words[0], *chosen, *words[1 : probes[0]], *objects, *words[probes[0] + 1 :]]


def small_first(program: Path) -> list[str]:
    """The names of what is zero at first, the smallest first; the program has its symbols still."""
    with program.open("rb") as file:
        elf = ELFFile(file)
        table, zeroes = elf.get_section_by_name(".symtab"), elf.get_section_index(".bss")
        if not isinstance(table, SymbolTableSection):
            raise SampanError(f"{program}: has no symbols")
        found = [(int(one["st_size"]), one.name) for one in table.iter_symbols() if one["st_shndx"] == zeroes]
    return [name for size, name in sorted(found) if size]


def trim(program: Path) -> None:
    """Cut off what is behind the last byte to be loaded: the place that a linker leaves for zeros."""
    with program.open("r+b") as file:
        elf = ELFFile(file)
        end = 0
        for number, part in enumerate(elf.iter_segments()):
            end = max(end, part["p_filesz"] and part["p_offset"] + part["p_filesz"])
            if part["p_type"] == "PT_LOAD" and not part["p_filesz"]:
                part.header["p_offset"] = 0
                file.seek(elf["e_phoff"] + number * elf["e_phentsize"])
                file.write(elf.structs.Elf_Phdr.build(part.header))
        file.truncate(end)


def link(driver: Sequence[str], objects: Sequence[str], out: str) -> None:
    """Link `objects` into `out`, without symbols and the table of sections, which nothing reads."""
    with tempfile.TemporaryDirectory(prefix="sampan-link-") as folder:
        draft, order = Path(folder, "draft"), Path(folder, "order")
        command = link_command(driver, driver[0], objects, str(draft))
        # In the draft's order large tables may lie between code and what it addresses; only its sizes are read.
        run([*(word for word in command if word != "-s"), "--noinhibit-exec"], env=toolchain.env())
        order.write_text("".join(f"{name}\n" for name in small_first(draft)), encoding="ascii")
        last = [*LAYOUT, f"--symbol-ordering-file={order}", "--no-warn-symbol-ordering"]
        run([*command, *last, "-o", out], env=toolchain.env())
        trim(Path(out))


def _parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.link", "Link a program of zig's objects.")
    parser.add_argument("--driver", required=True, help="zig cc with the target's and the linker's options")
    parser.add_argument("--out", required=True, metavar="PROGRAM")
    parser.add_argument("objects", nargs="+")
    return parser


def _main(args: argparse.Namespace) -> None:
    link(shlex.split(args.driver), args.objects, args.out)


if __name__ == "__main__":
    sys.exit(action.main(_parser, _main))
