"""Where the bytes of an image went.

Everything is read from image.json and the files it names, so that it also works on a copied
folder. What a file adds to the compressed image is estimated: each member of the archive is
compressed alone, and the results are scaled to the real size of the image.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from sampan.build import cpio, image, newc
from sampan.build.manifest import Entry, Kind, Manifest, Sources, escape, parse_manifest, read_text
from sampan.core.files import refuse_os_error

#: What the rootfs.cpio.gz of a board may take without kernel modules, in bytes.
CAP = 400_000

BUSYBOX, RUNTIME = "/bin/busybox", "/usr/bin/sampan"
MODULES = "/lib/modules/"
MODULE = "module "  #: a module's part is this and its name


@dataclass(frozen=True)
class Row:
    """One file, its path as the manifest writes it. `packed` is its estimated share of the compressed image."""

    path: str
    part: str
    size: int
    packed: int


@dataclass(frozen=True)
class Part:
    """Files that belong together."""

    name: str
    files: int
    size: int
    packed: int


@dataclass(frozen=True)
class Report:
    """All of it. Sizes are in bytes."""

    board: str
    images: dict[str, int]  #: rootfs by format, kernel, data disk
    rows: tuple[Row, ...]  #: largest first
    parts: tuple[Part, ...]  #: largest first
    folders: tuple[Part, ...]  #: by first folder of the path
    core: int  #: a cpio.gz of everything but kernel modules, exactly
    cap: int  #: what `core` may be
    headroom: int  #: cap - core; negative when it is too large

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(asdict(self)), indent=1) + b"\n"


def report(folder: Path, cap: int = CAP) -> Report:
    """Where the bytes of the image in a build folder went."""
    built = image.load(folder)
    content = parse_manifest(read_text(folder / built.manifest.file), built.manifest.file)
    packed_file = folder / built.rootfs[built.initrd].file
    try:
        packed = packed_file.read_bytes()
    except OSError as error:
        refuse_os_error(error, "read", packed_file)
    found = list(newc.members(newc.unpack(packed)))
    rows = rows_of(content, found, len(packed))
    core = core_size(found)
    images = {f"rootfs.{name}": file.size for name, file in built.rootfs.items()}
    images |= {"kernel": built.kernel.image.size, "kernel for QEMU": built.kernel.boot.size, "data": built.data.size}
    return Report(
        board=built.board,
        images=images,
        rows=tuple(rows),
        parts=group(rows, lambda row: row.part),
        folders=group(rows, lambda row: first_folder(row.path)),
        core=core,
        cap=cap,
        headroom=cap - core,
    )


def rows_of(content: Manifest, found: Iterable[newc.Member], total: int) -> list[Row]:
    """A row for each member, largest share first; the shares add up to about `total`."""
    alone = {member.path: len(zlib.compress(member.head + member.data, cpio.GZIP_LEVEL)) for member in found}
    scale = total / max(1, sum(alone.values()))
    rows = [
        Row(escape(entry.path), part_of(entry, content), entry.size, round(alone.get(entry.path, 0) * scale))
        for entry in content
    ]
    return sorted(rows, key=lambda row: (-row.packed, row.path))


def part_of(entry: Entry, content: Manifest) -> str:
    """busybox, runtime, a kernel module, configuration, nodes and folders, or other."""
    if entry.path.startswith(MODULES):
        name = entry.path.rpartition("/")[2]
        return MODULE + name.partition(".ko")[0].replace("-", "_") if ".ko" in name else "module lists"
    end = entry.target.rpartition("/")[2] if entry.kind in (Kind.LINK, Kind.HARD) else ""
    for name, path in (("busybox", BUSYBOX), ("runtime", RUNTIME)):
        if entry.path == path or (end and end == path.rpartition("/")[2] and path in content.by_path):
            return name
    if entry.path.startswith("/etc/") or entry.path == "/init":
        return "configuration"
    return "files" if entry.kind is Kind.FILE else "folders, links and nodes"


def first_folder(path: str) -> str:
    """/usr/bin/x -> /usr; a file in the root is its own."""
    return "/" + path.split("/")[1]


def core_size(found: Iterable[newc.Member]) -> int:
    """The exact size of a cpio.gz without kernel modules."""
    out: list[bytes] = []
    kept = [member for member in found if not member.path.startswith(MODULES)]
    trailer = cpio.plan(Manifest(()), epoch=1)
    with cpio.gzip_to(out.append) as write:
        cpio.emit([*(cpio.Record(member.head, data=member.data) for member in kept), *trailer], Sources({}, {}), write)
    return sum(map(len, out))


def group(rows: Iterable[Row], name_of: Callable[[Row], str]) -> tuple[Part, ...]:
    """Sums of rows by name, largest share first."""
    sums: dict[str, Part] = {}
    for row in rows:
        name = name_of(row)
        old = sums.get(name, Part(name, 0, 0, 0))
        sums[name] = Part(name, old.files + 1, old.size + row.size, old.packed + row.packed)
    return tuple(sorted(sums.values(), key=lambda part: (-part.packed, part.name)))
