"""Check every ELF file and script of a manifest; any finding that is not allowed fails the build.

`python -m sampan.build.elfcheck` writes elf.json: one record a file. Names of build folders
are looked for in every file, not only in ELF files.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sampan.board.model import Arch
from sampan.build import action, manifest
from sampan.build.elf import (
    MACHINES,
    MAGIC,
    Facts,
    Finding,
    Image,
    build_paths,
    findings,
    inspect,
    script_interpreter,
)
from sampan.build.manifest import Entry, Kind, Manifest, Sources, escape
from sampan.core import paths
from sampan.core.errors import SampanError
from sampan.core.files import write_bytes


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One file in elf.json."""

    path: str
    size: int
    type: str  #: exec, dyn, rel, or script
    machine: str = ""
    linkage: str = ""  #: static or dynamic
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()  #: findings that the manifest excuses: "check: message"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The content of elf.json."""

    arch: Arch
    files: list[Record]


def build_folders(content: Manifest) -> list[str]:
    """Folders of this machine that must not stand in an image.

    One that is also a folder of the image (such as /root) proves nothing and is left out.
    """
    # A user without an entry in /etc/passwd has no home: expanduser() then leaves "~".
    own = {str(paths.ROOT), str(paths.build_dir()), os.path.expanduser("~")}
    return sorted(folder for folder in own if folder[:1] == "/" != folder and folder not in content.by_path)


def check(content: Manifest, sources: Sources, arch: Arch, folders: Iterable[str]) -> tuple[Report, list[Finding]]:
    """Records of all ELF files and scripts, and all findings that are not allowed."""
    image, folders = Image(content), list(folders)
    records: list[Record] = []
    faults: list[Finding] = []
    for entry in content.of_kind(Kind.FILE):
        record, found = _check_file(entry, sources.read(entry), arch, image, folders)
        excused = tuple(f"{item.check}: {item.message}" for item in found if item.check in entry.allow)
        faults += [item for item in found if item.check not in entry.allow]
        if record is not None:
            records.append(msgspec.structs.replace(record, allowed=excused))
    return Report(arch=arch, files=records), faults


def _check_file(
    entry: Entry, data: bytes, arch: Arch, image: Image, folders: list[str]
) -> tuple[Record | None, list[Finding]]:
    found = [
        Finding(entry.path, "buildpath", f"holds the path {folder} of the build machine")
        for folder in build_paths(data, folders)
    ]
    record = None
    if data.startswith(MAGIC):
        try:
            facts = inspect(data)
        except ValueError as error:
            return Record(path=escape(entry.path), size=entry.size, type="damaged"), [
                *found, Finding(entry.path, "machine", f"is a {error}")
            ]  # fmt: skip
        found += findings(entry, facts, arch, image)
        record = _record(entry, facts)
    elif program := script_interpreter(data) if entry.mode & 0o111 else "":
        record = Record(path=escape(entry.path), size=entry.size, type="script", interpreter=program)
        if not image.has_file(program):
            found.append(Finding(entry.path, "closure", f"is run by {program}, which is not in the image"))
    return record, found


def _record(entry: Entry, facts: Facts) -> Record:
    linkage = "" if facts.type == "rel" else "dynamic" if facts.interpreter or facts.needed else "static"
    return Record(
        path=escape(entry.path),
        size=entry.size,
        type=facts.type,
        machine=facts.machine,
        linkage=linkage,
        interpreter=facts.interpreter,
        needed=facts.needed,
    )


def refuse(faults: list[Finding]) -> None:
    """Raise one SampanError with all findings, if there are any."""
    if not faults:
        return
    lines = "".join(f"\n  {item.path}: {item.message} [{item.check}]" for item in faults)
    number = "1 finding" if len(faults) == 1 else f"{len(faults)} findings"
    first = faults[0]
    raise SampanError(
        f"{number} in the files of the image:{lines}",
        hint=f"fix the file, or excuse it in its manifest line: {first.path} file ... allow={first.check}"
        " (docs/elf.md explains the words)",
    )


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.elfcheck", "Check every ELF file and script of a manifest.")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--arch", choices=list(MACHINES), required=True)
    parser.add_argument("--forbid", type=Path, nargs="+", action="extend", default=[], metavar="FOLDER",
                        help="further folders of the build machine whose names must not be in a file")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="elf.json")
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    content, sources = manifest.load(args.manifest, args.sources)
    folders = [*build_folders(content), *(str(folder.absolute()) for folder in args.forbid)]
    report, faults = check(content, sources, args.arch, folders)
    refuse(faults)
    write_bytes(args.out, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
