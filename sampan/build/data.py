"""The pristine data disk: an empty ext4 that the board mounts on /var/lib/lxc.

Its label is how the board finds it; its UUID is fixed, so that every build gives the same
bytes. It has a journal, because boards lose power, and room in its descriptors to be grown
by resize2fs on a larger medium. The file is sparse.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from pathlib import Path

from sampan.build import action, ext4
from sampan.build.ext4 import BLOCK, FEATURES, INODE, MIB, Geometry
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import atomic

LABEL = "sampan-data"
UUID = uuid.UUID("5a3b9a5e-da7a-8d15-8b5a-3b9a5eda7a00")  #: version 8: ours, the same for every board
EPOCH = 1_700_000_000  #: of its superblock; the board's clock takes over at the first mount
SIZE_MIN = 8 * MIB  #: journal and a container
BYTES_PER_INODE = 8192


def plan(size: int) -> Geometry:
    """The geometry of a data disk of `size` bytes."""
    if size < SIZE_MIN:
        raise SampanError(
            f"a data disk of {size} bytes is too small", hint=f"at least {SIZE_MIN // MIB}M", code=EXIT_USAGE
        )
    per_block = BLOCK // INODE
    inodes = -(-size // BYTES_PER_INODE // per_block) * per_block
    features = (*FEATURES, "has_journal", "resize_inode")
    return Geometry(size // BLOCK * BLOCK, inodes, LABEL, UUID, EPOCH, features, ("-J", "size=4"))


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.data", f"Write an empty data disk (ext4, label {LABEL}).")
    parser.add_argument("--size", type=action.size, required=True, help="such as 64M")
    parser.add_argument("--out", type=Path, required=True)
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    geometry = plan(args.size)
    with atomic(args.out) as temporary:
        ext4.make_empty(geometry, temporary)
        ext4.check(temporary)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
