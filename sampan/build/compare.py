"""Name the structure in which two images of one format differ.

`python -m sampan.build.compare A B` ends with 0 when both are the same byte by byte. Otherwise
it prints which entry, header field, inode, table or data block differs, because "differ: byte
4711" tells nobody what to look at. The reproducibility test is built on it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from sampan.build import action, newc
from sampan.build.compare_ext4 import MAGIC as EXT4_MAGIC
from sampan.build.compare_ext4 import MAGIC_AT as EXT4_MAGIC_AT
from sampan.build.compare_ext4 import compare_ext4
from sampan.build.compare_squashfs import MAGIC as SQUASHFS_MAGIC
from sampan.build.compare_squashfs import compare_squashfs
from sampan.build.cpio import FIELDS, MAGIC
from sampan.build.difference import Difference, Layout, first_difference
from sampan.build.manifest import escape
from sampan.core.errors import SampanError
from sampan.core.files import refuse_os_error

SHOWN = 20  #: differences that are printed: the first few tell

GZIP = Layout.of("magic:2s method:B flags:B mtime:I xfl:B os:B", 10)


def compare(left: bytes, right: bytes) -> list[Difference]:
    """What differs between two images; [] when they are the same."""
    if left == right:
        return []
    form = form_of(left)
    if form != form_of(right):
        return [Difference("format", form, form_of(right))]
    return COMPARE[form](left, right)


def form_of(data: bytes) -> str:
    """cpio, gzip, zstd, squashfs, ext4, or unknown."""
    for name, (at, magic) in MAGICS.items():
        if data[at : at + len(magic)] == magic:
            return name
    return "unknown"


def compare_gzip(left: bytes, right: bytes) -> list[Difference]:
    """The header's fields, and what is packed."""
    return GZIP.compare("gzip header", left[: GZIP.size], right[: GZIP.size]) or _compare_packed("gzip", left, right)


def compare_zstd(left: bytes, right: bytes) -> list[Difference]:
    """What is packed."""
    return _compare_packed("zstd", left, right)


def _compare_packed(name: str, left: bytes, right: bytes) -> list[Difference]:
    plain = newc.unpack(left), newc.unpack(right)
    if plain[0] != plain[1]:
        return compare(*plain)
    return [Difference(f"{name} stream: same content, packed otherwise", f"{len(left)} bytes", f"{len(right)} bytes")]


def compare_cpio(left: bytes, right: bytes) -> list[Difference]:
    """Entries that only one has, header fields, data, order, and what follows the trailer."""
    ours = {member.path: member for member in newc.members(left)}
    theirs = {member.path: member for member in newc.members(right)}
    found = [Difference(f"cpio entry {escape(path)}", "there", "missing") for path in ours if path not in theirs]
    found += [Difference(f"cpio entry {escape(path)}", "missing", "there") for path in theirs if path not in ours]
    for path in ours:
        if path in theirs:
            found += _compare_members(f"cpio entry {escape(path)}", ours[path], theirs[path])
    if found:
        return found
    if list(ours) != list(theirs):
        return [Difference("cpio: order of the entries")]
    return [Difference("cpio: padding, or what follows the trailer")]


def _compare_members(where: str, left: newc.Member, right: newc.Member) -> list[Difference]:
    found = [
        Difference(f"{where}: {field}", _shown(field, left), _shown(field, right))
        for field in FIELDS
        if left.fields[field] != right.fields[field]
    ]
    if left.data != right.data:
        found.append(Difference(f"{where}: data from byte {first_difference(left.data, right.data)}"))
    return found


def _shown(field: str, member: newc.Member) -> str:
    return f"{member.fields[field]:o}" if field == "mode" else str(member.fields[field])


def compare_unknown(left: bytes, right: bytes) -> list[Difference]:
    """Of a format that is not known here, the first byte."""
    return [Difference(f"bytes from {first_difference(left, right)}", f"{len(left)} bytes", f"{len(right)} bytes")]


#: Where each format has which bytes.
MAGICS = {
    "cpio": (0, MAGIC),
    "gzip": (0, newc.GZIP_MAGIC),
    "zstd": (0, newc.ZSTD_MAGIC),
    "squashfs": (0, SQUASHFS_MAGIC),
    "ext4": (EXT4_MAGIC_AT, EXT4_MAGIC),
}
COMPARE: dict[str, Callable[[bytes, bytes], list[Difference]]] = {
    "cpio": compare_cpio,
    "gzip": compare_gzip,
    "zstd": compare_zstd,
    "squashfs": compare_squashfs,
    "ext4": compare_ext4,
    "unknown": compare_unknown,
}


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.compare", "Name what differs between two images of one format.")
    parser.add_argument("left", type=Path)
    parser.add_argument("right", type=Path)
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    found = compare(_read(args.left), _read(args.right))
    if found:
        lines = "".join(f"\n  {difference}" for difference in found[:SHOWN])
        more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise SampanError(f"{args.left} and {args.right} differ:{lines}{more}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        refuse_os_error(error, "read", path)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
