"""cpio archives in the newc format, as the kernel's initramfs takes them.

The format is fixed by Documentation/driver-api/early-userspace/buffer-format.rst: a header of
thirteen eight-digit hexadecimal fields behind "070701", the name with its NUL, padding to four
bytes, the data, padding again. Nothing of the build machine gets in: inodes are numbered from
one in the manifest's order, every time is the epoch.
"""

from __future__ import annotations

import argparse
import contextlib
import stat
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zstandard

from sampan.build import action, manifest
from sampan.build.manifest import NODES, Entry, Kind, Manifest, Sources, encode
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import atomic

MAGIC = b"070701"
HEADER_SIZE = 110
FIELDS = (
    "ino", "mode", "uid", "gid", "nlink", "mtime", "filesize",
    "devmajor", "devminor", "rdevmajor", "rdevminor", "namesize", "check",
)  # fmt: skip
assert len(MAGIC) + 8 * len(FIELDS) == HEADER_SIZE
TRAILER = b"TRAILER!!!"
BLOCK = 512  #: an archive is padded to this with zeros, as cpio itself does
SIZE_MAX = 2**32 - 1  #: of a file: the header's field has eight hexadecimal digits

GZIP_LEVEL = 9
#: magic, deflate, no flags, no time, slowest compression, system unknown: nothing that varies
GZIP_HEADER = struct.pack("<2sBBIBB", b"\x1f\x8b", 8, 0, 0, 2, 255)
assert len(GZIP_HEADER) == 10
ZSTD_LEVEL = 19  #: window of 8 MiB; the kernel's decompressor takes up to 128 MiB

FILE_TYPES = {
    Kind.DIR: stat.S_IFDIR,
    Kind.FILE: stat.S_IFREG,
    Kind.HARD: stat.S_IFREG,
    Kind.LINK: stat.S_IFLNK,
    Kind.CHAR: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
}

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Record:
    """One member: its header with name and padding, and where its data comes from."""

    head: bytes
    file: Entry | None = None  #: the bytes of this entry
    data: bytes = b""  #: a link's target


def plan(content: Manifest, epoch: int) -> list[Record]:
    """The whole archive but for the files' bytes. Raises every error a manifest can cause."""
    names = content.names_of()
    numbers: dict[str, int] = {}
    records = []
    for entry in content:
        _check(entry)
        file = content.file_of(entry)
        number = numbers.setdefault(file.path, len(numbers) + 1)
        several = names.get(file.path, [file.path])
        # The data goes with the last name, as cpio does it: the kernel and cpio both link the others to it.
        holds = entry.path == several[-1]
        records.append(_record(entry, file, number, len(several), holds, epoch))
    trailer = header(dict.fromkeys(FIELDS, 0) | {"nlink": 1}, TRAILER)
    return [*records, Record(trailer)]


def _check(entry: Entry) -> None:
    if entry.kind is Kind.FILE and entry.size > SIZE_MAX:
        raise SampanError(f"{entry.path}: {entry.size} bytes; a cpio holds files below 4 GiB")
    if entry.name == TRAILER:
        raise SampanError(f"{entry.path}: a cpio ends at this name", hint="rename it", code=EXIT_USAGE)
    if entry.xattrs:
        raise SampanError(
            f"{entry.path}: a cpio holds no extended attributes ({entry.xattrs[0][0]})",
            hint="use ext4 or squashfs, or set the attribute at boot",
            code=EXIT_USAGE,
        )


def _record(entry: Entry, file: Entry, number: int, links: int, holds: bool, epoch: int) -> Record:
    target = encode(entry.target) if entry.kind is Kind.LINK else b""
    size = len(target) or (file.size if file.kind is Kind.FILE and holds else 0)
    major, minor = entry.rdev
    fields = {
        "ino": number,
        "mode": FILE_TYPES[entry.kind] | file.mode,
        "uid": file.uid,
        "gid": file.gid,
        "nlink": 2 if entry.kind is Kind.DIR else links,
        "mtime": epoch,
        "filesize": size,
        "rdevmajor": major if entry.kind in NODES else 0,
        "rdevminor": minor if entry.kind in NODES else 0,
    }
    return Record(header(fields, entry.name or b"."), file if size and not target else None, target)


def header(fields: dict[str, int], name: bytes) -> bytes:
    """A member's header, name and padding; fields that are not given are 0."""
    values = fields | {"namesize": len(name) + 1, "check": 0}
    head = MAGIC + b"".join(b"%08X" % values.get(field, 0) for field in FIELDS)
    assert len(head) == HEADER_SIZE
    return _padded(head + name + b"\0", 4)


def _padded(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)


def emit(records: list[Record], sources: Sources, write: Write) -> None:
    """Write the archive, block padding included."""
    total = 0
    for record in records:
        data = sources.read(record.file) if record.file else record.data
        chunk = record.head + _padded(data, 4)
        total += len(chunk)
        write(chunk)
    write(bytes(-total % BLOCK))


@contextlib.contextmanager
def gzip_to(write: Write) -> Iterator[Write]:
    """Compress into a gzip stream whose header and level are fixed."""
    deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    crc = size = 0

    def put(data: bytes) -> None:
        nonlocal crc, size
        crc, size = zlib.crc32(data, crc), (size + len(data)) & 0xFFFFFFFF
        write(deflate.compress(data))

    write(GZIP_HEADER)
    yield put
    write(deflate.flush() + struct.pack("<II", crc, size))


@contextlib.contextmanager
def zstd_to(write: Write) -> Iterator[Write]:
    """Compress into one zstd frame: fixed level, one thread (several give other bytes), checksum."""
    compress = zstandard.ZstdCompressor(level=ZSTD_LEVEL, threads=0, write_checksum=True).compressobj()
    yield lambda data: write(compress.compress(data))
    write(compress.flush())


@contextlib.contextmanager
def plain_to(write: Write) -> Iterator[Write]:
    yield write


FORMATS = {"cpio": plain_to, "cpio.gz": gzip_to, "cpio.zst": zstd_to}


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.cpio", "Write a manifest as a cpio archive (newc).")
    parser.add_argument("--format", choices=list(FORMATS), required=True)
    action.add_image_options(parser)
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    content, sources = manifest.load(args.manifest, args.sources)
    records = plan(content, args.epoch)
    with (
        atomic(args.out) as temporary,
        temporary.open("wb") as stream,
        FORMATS[args.format](stream.write) as write,
    ):
        emit(records, sources, write)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
