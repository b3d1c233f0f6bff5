"""Name what differs between two squashfs images: a field of the superblock, a table, a data block.

The layout is that of the kernel's Documentation/filesystems/squashfs.rst: superblock, data and
fragments, then the tables in a fixed order, each where the superblock says.
"""

from __future__ import annotations

from collections.abc import Iterator

from sampan.build.difference import Difference, Layout, first_difference

MAGIC = b"hsqs"
SUPERBLOCK = Layout.of(
    "magic:4s inode_count:I mod_time:I block_size:I frag_count:I compressor:H block_log:H flags:H id_count:H "
    "version_major:H version_minor:H root_inode:Q bytes_used:Q id_table:Q xattr_table:Q inode_table:Q "
    "directory_table:Q fragment_table:Q export_table:Q",
    96,
)
TABLES = ("inode_table", "directory_table", "fragment_table", "export_table", "id_table", "xattr_table")
ABSENT = 2**64 - 1


def compare_squashfs(left: bytes, right: bytes) -> list[Difference]:
    """Fields of the superblock first: when sizes moved, they say which table grew."""
    found = SUPERBLOCK.compare("squashfs superblock", left, right)
    ours, theirs = dict(sections(left)), dict(sections(right))
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name, b""), theirs.get(name, b"")
        if one != other:
            at = first_difference(one, other)
            found.append(Difference(f"squashfs {name} from its byte {at}", f"{len(one)} bytes", f"{len(other)} bytes"))
    return found


def sections(image: bytes) -> Iterator[tuple[str, bytes]]:
    """The parts of an image by name, between the superblock and the padding at its end."""
    starts = {name: SUPERBLOCK[name].number(image) for name in TABLES}
    order = sorted((at, name) for name, at in starts.items() if at != ABSENT)
    used = SUPERBLOCK["bytes_used"].number(image)
    bounds = [(SUPERBLOCK.size, "data and fragments"), *order, (used, "padding"), (len(image), "")]
    for (start, name), (end, _) in zip(bounds, bounds[1:], strict=False):
        yield name.replace("_", " "), image[start:end]
