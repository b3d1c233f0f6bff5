"""What is wrong with the ELF files of an image, found before a board has to tell.

`inspect` reads the facts of one file, `findings` judges them against the manifest. Both are
pure; the report and the command are in sampan.build.elfcheck. docs/elf.md explains each word.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from sampan.board.model import Arch
from sampan.build.manifest import Entry, Kind, Manifest

MAGIC = b"\x7fELF"
PF_X, PF_W = 1, 2
DF_TEXTREL = 4
EF_ARM_EABI_MASK, EF_ARM_EABI5, EF_ARM_SOFT_FLOAT = 0xFF000000, 0x05000000, 0x200
LINKS_MAX = 40  #: symbolic links in one look-up, as the kernel's MAXSYMLINKS

#: e_machine, bits of the class. All are little-endian.
MACHINES: dict[Arch, tuple[str, int]] = {
    "x86": ("EM_386", 32),
    "x86_64": ("EM_X86_64", 64),
    "armv6": ("EM_ARM", 32),
    "armv7": ("EM_ARM", 32),
    "aarch64": ("EM_AARCH64", 64),
}
#: Where the dynamic linkers of musl, glibc and Debian's multiarch look.
LIBRARY_FOLDERS = {
    arch: ("/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64", f"/lib/{triplet}", f"/usr/lib/{triplet}")
    for arch, triplet in {
        "x86": "i386-linux-gnu",
        "x86_64": "x86_64-linux-gnu",
        "armv6": "arm-linux-gnueabihf",
        "armv7": "arm-linux-gnueabihf",
        "aarch64": "aarch64-linux-gnu",
    }.items()
}


@dataclass(frozen=True)
class Facts:
    """What one ELF file says of itself. `type` is exec, dyn or rel (a kernel module or object)."""

    type: str
    machine: str
    bits: int
    little: bool
    flags: int
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    dynamic: bool = False
    textrel: bool = False
    relro: bool = False
    stack: int | None = None  #: p_flags of PT_GNU_STACK, None without one
    wx: bool = False  #: a segment that is writable and executable
    comp_dirs: tuple[str, ...] = ()  #: absolute folders in the debug information


@dataclass(frozen=True)
class Finding:
    """Something wrong: `check` is the word that `allow=` takes."""

    path: str
    check: str
    message: str


def inspect(data: bytes) -> Facts:
    """The facts of an ELF file; ValueError when it is damaged."""
    try:
        return _inspect(ELFFile(io.BytesIO(data)))
    except Exception as error:
        # On nonsense pyelftools raises whatever its parts do (KeyError, OverflowError, TypeError,
        # ...); the bytes are at fault, and for an image it comes to the same: damaged.
        raise ValueError(f"damaged ELF file: {error or type(error).__name__}") from error


def _inspect(elf: ELFFile) -> Facts:
    kinds = {"ET_EXEC": "exec", "ET_DYN": "dyn", "ET_REL": "rel"}
    facts: dict[str, Any] = {
        "type": kinds.get(str(elf["e_type"]), str(elf["e_type"])),
        "machine": str(elf["e_machine"]),
        "bits": elf.elfclass,
        "little": elf.little_endian,
        "flags": int(elf["e_flags"]),
    }
    if elf["e_type"] == "ET_REL":
        return Facts(**facts)
    for segment in elf.iter_segments():
        kind, flags = segment["p_type"], int(segment["p_flags"])
        if isinstance(segment, InterpSegment):
            facts["interpreter"] = segment.get_interp_name()
        elif kind == "PT_GNU_STACK":
            facts["stack"] = flags
        elif kind == "PT_GNU_RELRO":
            facts["relro"] = True
        elif kind == "PT_LOAD" and flags & PF_W and flags & PF_X:
            facts["wx"] = True
        elif isinstance(segment, DynamicSegment):
            facts |= _dynamic(segment)
    return Facts(**facts, comp_dirs=tuple(sorted(_comp_dirs(elf))))


def _dynamic(segment: DynamicSegment) -> dict[str, Any]:
    needed: list[str] = []
    runpath: list[str] = []
    facts: dict[str, Any] = {"dynamic": True}
    tags: Iterator[Any] = segment.iter_tags()  # their attributes depend on the tag
    for tag in tags:
        name = tag.entry.d_tag
        if name == "DT_NEEDED":
            needed.append(tag.needed)
        elif name == "DT_SONAME":
            facts["soname"] = tag.soname
        elif name in ("DT_RPATH", "DT_RUNPATH"):
            runpath += (tag.rpath if name == "DT_RPATH" else tag.runpath).split(":")
        elif name == "DT_TEXTREL" or (name == "DT_FLAGS" and tag.entry.d_val & DF_TEXTREL):
            facts["textrel"] = True
    return facts | {"needed": tuple(needed), "runpath": tuple(runpath)}


def _comp_dirs(elf: ELFFile) -> Iterator[str]:
    if not elf.has_dwarf_info(strict=True):  # an .eh_frame alone holds no paths
        return
    seen: set[str] = set()
    for unit in elf.get_dwarf_info().iter_CUs():
        value = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
        if value is not None and isinstance(value.value, bytes) and value.value.startswith(b"/"):
            seen.add(value.value.decode(errors="replace"))
    yield from seen


class Image:
    """Looks up paths in a manifest as the kernel would on the board."""

    def __init__(self, content: Manifest) -> None:
        self._content = content

    def find(self, path: str) -> Entry | None:
        """The entry a path leads to, symbolic links followed inside the image."""
        todo = _parts(path)
        at: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                at = at[:-1]
                continue
            entry = self._content.by_path.get("/" + "/".join([*at, part]))
            if entry is None:
                return None
            if entry.kind is not Kind.LINK:
                at.append(part)
                continue
            links += 1
            if links > LINKS_MAX:
                return None
            if entry.target.startswith("/"):
                at = []
            todo += _parts(entry.target)
        found = self._content.by_path.get("/" + "/".join(at))
        return self._content.file_of(found) if found else None

    def has_file(self, path: str) -> bool:
        found = self.find(path)
        return found is not None and found.kind is Kind.FILE

    def has_folder(self, path: str) -> bool:
        found = self.find(path)
        return found is not None and found.kind is Kind.DIR


def _parts(path: str) -> list[str]:
    """The names in a path, the last one first."""
    return [part for part in path.split("/") if part not in ("", ".")][::-1]


def findings(entry: Entry, facts: Facts, arch: Arch, image: Image) -> list[Finding]:
    """What is wrong with one ELF file, allowances not yet considered."""
    found = [("machine", text) for text in _machine(facts, arch)]
    if facts.type != "rel":
        found += [("closure", text) for text in _closure(entry, facts, arch, image)]
        found += _hardening(facts)
        found += [("runpath", text) for text in _runpath(entry, facts, image)]
        found += [("buildpath", f"its debug information names {folder}") for folder in facts.comp_dirs]
    return [Finding(entry.path, check, text) for check, text in found]


def _machine(facts: Facts, arch: Arch) -> Iterator[str]:
    machine, bits = MACHINES[arch]
    if (facts.machine, facts.bits, facts.little) != (machine, bits, True):
        order = "little" if facts.little else "big"
        yield f"is for {facts.machine}, {facts.bits} bits, {order}-endian; {arch} is {machine}, {bits} bits"
    elif machine == "EM_ARM":
        if facts.flags & EF_ARM_EABI_MASK != EF_ARM_EABI5:
            yield f"is no EABI version 5 file (e_flags {facts.flags:#x})"
        elif facts.flags & EF_ARM_SOFT_FLOAT:
            # Old hard-float toolchains set neither flag, so only the explicit one counts.
            yield f"is built for the soft-float ABI (e_flags {facts.flags:#x}); {arch} boards are hard float"


def _closure(entry: Entry, facts: Facts, arch: Arch, image: Image) -> Iterator[str]:
    if facts.interpreter and not image.has_file(facts.interpreter):
        yield f"needs the dynamic linker {facts.interpreter}, which is not in the image"
    folders = [*(_origin(entry, folder) for folder in facts.runpath), *LIBRARY_FOLDERS[arch]]
    for library in facts.needed:
        places = [library] if "/" in library else [f"{folder}/{library}" for folder in folders]
        if not any(image.has_file(place) for place in places):
            yield f"needs {library}, which is in none of the image's library folders"


def _origin(entry: Entry, folder: str) -> str:
    return re.sub(r"\$(ORIGIN\b|\{ORIGIN\})", lambda _: entry.parent, folder)


def _hardening(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.stack is None:
        yield "execstack", "has no PT_GNU_STACK: the kernel gives it an executable stack"
    elif facts.stack & PF_X:
        yield "execstack", "asks for an executable stack"
    if facts.wx:
        yield "wx", "has a segment that is both writable and executable"
    if facts.textrel:
        yield "textrel", "relocates its text: pages are not shared, and W^X does not hold"
    if facts.needed and not facts.relro:
        yield "relro", "is dynamically linked without RELRO"


def _runpath(entry: Entry, facts: Facts, image: Image) -> Iterator[str]:
    for folder in facts.runpath:
        if not folder.startswith(("/", "$ORIGIN", "${ORIGIN}")):
            yield f"looks for libraries in {folder!r}, relative to wherever it is started"
        elif not image.has_folder(_origin(entry, folder)):
            yield f"looks for libraries in {folder}, which is no folder of the image"


def build_paths(data: bytes, folders: Iterable[str]) -> list[str]:
    """The folders of the build machine that stand in a file's bytes as a whole path or its start."""
    return [folder for folder in folders if re.search(re.escape(folder.encode()) + rb"(?![\w.-])", data)]


def script_interpreter(data: bytes) -> str:
    """The program behind #!, "" when the file is no script."""
    if not data.startswith(b"#!"):
        return ""
    words: Sequence[bytes] = data[2:256].split(b"\n", 1)[0].split()
    return words[0].decode(errors="replace") if words else ""
