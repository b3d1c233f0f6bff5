"""squashfs images of a manifest, as an ordinary user and bit-identical.

gensquashfs of squashfs-tools-ng takes a pack file that is a manifest itself: owners, modes and
nodes stand in the text, only bytes come from disk. The compressor is gzip (zlib) unless another
is asked for: every kernel with squashfs has it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sampan.build import action, manifest
from sampan.build.manifest import Entry, Kind, Manifest, Sources, encode, escape
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import atomic
from sampan.core.run import run

COMPRESSORS = ("gzip", "xz", "zstd", "lz4", "lzo")
BLOCK = 131072  #: bytes, uncompressed: the usual trade of size against reading


@dataclass(frozen=True)
class Layout:
    """A planned image: the two texts that gensquashfs reads."""

    pack: bytes
    xattrs: bytes  #: empty when no entry has any
    files: tuple[Entry, ...]  #: to be staged under their sha256


def plan(content: Manifest) -> Layout:
    """The pack file and the file of extended attributes."""
    files = {entry.sha256: entry for entry in content.of_kind(Kind.FILE)}
    pack = b"".join(_pack_line(entry) + b"\n" for entry in content)
    xattrs = b"".join(_xattr_lines(entry) for entry in content if entry.xattrs)
    return Layout(pack, xattrs, tuple(files.values()))


def _pack_line(entry: Entry) -> bytes:
    owner = f"0{entry.mode:o} {entry.uid} {entry.gid}".encode()
    path = _quoted(entry, entry.path)
    match entry.kind:
        case Kind.DIR:
            words = [b"dir", path, owner]
        case Kind.FILE:
            words = [b"file", path, owner, entry.sha256.encode()]
        case Kind.LINK:
            # The target reaches to the end of the line: neither quoted nor escaped.
            words = [b"slink", path, owner, _whole(entry, entry.target)]
        case Kind.HARD:
            words = [b"link", path, b"0 0 0", _whole(entry, entry.target)]
        case Kind.FIFO:
            words = [b"pipe", path, owner]
        case Kind.CHAR | Kind.BLOCK:
            words = [b"nod", path, owner, f"{entry.kind[0]} {entry.rdev[0]} {entry.rdev[1]}".encode()]
    return b" ".join(words)


def _quoted(entry: Entry, text: str) -> bytes:
    return b'"' + _whole(entry, text).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _whole(entry: Entry, text: str) -> bytes:
    """A name or target that a line-based text can hold."""
    data = encode(text)
    if b"\n" in data or b"\r" in data or data != data.strip(b" \t"):
        raise SampanError(
            f"{escape(entry.path)}: squashfs images take no name or target with a line break or blanks at an end",
            hint="rename it, or use cpio",
            code=EXIT_USAGE,
        )
    return data


def _xattr_lines(entry: Entry) -> bytes:
    lines = [b"# file: " + _whole(entry, entry.path)]
    lines += [encode(name) + b"=0x" + data.hex().encode() for name, data in entry.xattrs]
    return b"\n".join(lines) + b"\n\n"


def emit(layout: Layout, sources: Sources, out: Path, *, epoch: int, compressor: str) -> None:
    """Write the image over `out`."""
    with tempfile.TemporaryDirectory(prefix=".squashfs.", dir=out.parent) as name:
        folder = Path(name)
        for entry in layout.files:
            (folder / entry.sha256).write_bytes(sources.read(entry))
        (folder / "pack").write_bytes(layout.pack)
        (folder / "xattrs").write_bytes(layout.xattrs)
        argv = [
            "gensquashfs", "--quiet", "--force",
            "--pack-file", "pack", "--pack-dir", ".",
            "--compressor", compressor, "--block-size", str(BLOCK), "--defaults", f"mtime={epoch}",
            *(["--xattr-file", "xattrs"] if layout.xattrs else []),
            str(out.absolute()),
        ]  # fmt: skip
        run(argv, cwd=folder, env={"SOURCE_DATE_EPOCH": str(epoch)})


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.squashfs", "Write a manifest as a squashfs image.")
    action.add_image_options(parser)
    parser.add_argument("--compressor", choices=COMPRESSORS, default="gzip")
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    content, sources = manifest.load(args.manifest, args.sources)
    layout = plan(content)
    with atomic(args.out) as temporary:
        emit(layout, sources, temporary, epoch=args.epoch, compressor=args.compressor)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
