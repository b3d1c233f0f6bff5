"""squashfs images of a manifest, as an ordinary user and bit-identical.

tar2sqfs of squashfs-tools-ng reads a tar archive that is made here from the manifest, so that
owners, modes, nodes and extended attributes come from the text and nothing is staged on disk.
(gensquashfs of the same package takes a pack file, but 1.2.0 drops the extended attributes it
is given beside one, and its syntax has no line breaks.) The compressor is gzip unless another
is asked for: every kernel with squashfs has zlib.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from pathlib import Path

from sampan.build import action, manifest
from sampan.build.manifest import NODES, Entry, Kind, Manifest, Sources
from sampan.core.files import atomic
from sampan.core.run import run

COMPRESSORS = ("gzip", "xz", "zstd", "lz4", "lzo")
BLOCK = 131072  #: bytes, uncompressed: the usual trade of size against reading
TAR_TYPES = {
    Kind.DIR: tarfile.DIRTYPE,
    Kind.FILE: tarfile.REGTYPE,
    Kind.LINK: tarfile.SYMTYPE,
    Kind.HARD: tarfile.LNKTYPE,
    Kind.CHAR: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}


def plan(content: Manifest, epoch: int) -> list[tuple[tarfile.TarInfo, Entry]]:
    """The members of the archive: further names of files last, behind what they name."""
    entries = sorted(content, key=lambda entry: entry.kind is Kind.HARD)
    return [(_member(entry, epoch), entry) for entry in entries]


def _member(entry: Entry, epoch: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.path[1:] or ".")
    info.type = TAR_TYPES[entry.kind]
    info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.uid, entry.gid, epoch
    info.size = entry.size
    info.linkname = entry.target[1:] if entry.kind is Kind.HARD else entry.target
    if entry.kind in NODES:
        info.devmajor, info.devminor = entry.rdev
    # Bytes that are no UTF-8 travel as surrogates; tarfile gives them back as they were.
    info.pax_headers = {
        f"SCHILY.xattr.{name}": value.decode("utf-8", "surrogateescape") for name, value in entry.xattrs
    }
    return info


def archive(members: list[tuple[tarfile.TarInfo, Entry]], sources: Sources) -> bytes:
    """The whole tar archive (POSIX pax)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, entry in members:
            tar.addfile(info, io.BytesIO(sources.read(entry)) if entry.kind is Kind.FILE else None)
    return stream.getvalue()


def emit(tar: bytes, out: Path, epoch: int, compressor: str) -> None:
    """Write the image over `out`. The default time is that of the superblock."""
    argv = [
        "tar2sqfs", "--quiet", "--force", "--no-skip",
        "--compressor", compressor, "--block-size", str(BLOCK), "--defaults", f"mtime={epoch}",
        str(out),
    ]  # fmt: skip
    run(argv, stdin=tar)


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.squashfs", "Write a manifest as a squashfs image.")
    action.add_image_options(parser)
    parser.add_argument("--compressor", choices=COMPRESSORS, default="gzip")
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    content, sources = manifest.load(args.manifest, args.sources)
    tar = archive(plan(content, args.epoch), sources)
    with atomic(args.out) as temporary:
        emit(tar, temporary, args.epoch, args.compressor)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
