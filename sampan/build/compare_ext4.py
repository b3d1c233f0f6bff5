"""Name what differs between two ext4 images: superblock, group, inode of a path, folder, data.

A small reader of what sampan writes (extents, linear folders, 32-bit descriptors), after the
kernel's Documentation/filesystems/ext4. It only names things; e2fsck judges them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from sampan.build.difference import Difference, Layout

MAGIC, MAGIC_AT = b"\x53\xef", 1024 + 56
SUPERBLOCK_AT = 1024
SUPERBLOCK = Layout.of(
    "s_inodes_count:I s_blocks_count:I s_r_blocks_count:I s_free_blocks_count:I s_free_inodes_count:I "
    "s_first_data_block:I s_log_block_size:I s_log_cluster_size:I s_blocks_per_group:I s_clusters_per_group:I "
    "s_inodes_per_group:I s_mtime:I s_wtime:I s_mnt_count:H s_max_mnt_count:H s_magic:2s s_state:H s_errors:H "
    "s_minor_rev_level:H s_lastcheck:I s_checkinterval:I s_creator_os:I s_rev_level:I s_def_resuid:H s_def_resgid:H "
    "s_first_ino:I s_inode_size:H s_block_group_nr:H s_feature_compat:I s_feature_incompat:I s_feature_ro_compat:I "
    "s_uuid:16s s_volume_name:16s s_last_mounted:64s s_algorithm_usage_bitmap:I s_prealloc:2s s_reserved_gdt_blocks:H "
    "s_journal_uuid:16s s_journal_inum:I s_journal_dev:I s_last_orphan:I s_hash_seed:16s s_def_hash_version:B "
    "s_jnl_backup_type:B s_desc_size:H s_default_mount_opts:I s_first_meta_bg:I s_mkfs_time:I s_jnl_blocks:68s "
    "s_blocks_count_hi:I s_r_blocks_count_hi:I s_free_blocks_count_hi:I s_min_extra_isize:H s_want_extra_isize:H "
    "s_flags:I s_raid_stride:H s_mmp_interval:H s_mmp_block:Q s_raid_stripe_width:I s_log_groups_per_flex:B "
    "s_checksum_type:B s_pad:H s_kbytes_written:Q s_tail:640s",
    1024,
)
GROUP = Layout.of(
    "bg_block_bitmap:I bg_inode_bitmap:I bg_inode_table:I bg_free_blocks_count:H bg_free_inodes_count:H "
    "bg_used_dirs_count:H bg_flags:H bg_exclude_bitmap:I bg_block_bitmap_csum:H bg_inode_bitmap_csum:H "
    "bg_itable_unused:H bg_checksum:H",
    32,
)
INODE = Layout.of(
    "i_mode:H i_uid:H i_size:I i_atime:I i_ctime:I i_mtime:I i_dtime:I i_gid:H i_links_count:H i_blocks:I i_flags:I "
    "i_version:I i_block:60s i_generation:I i_file_acl:I i_size_high:I i_obso_faddr:I i_blocks_high:H "
    "i_file_acl_high:H i_uid_high:H i_gid_high:H i_checksum:H i_reserved:H i_extra_isize:H i_checksum_hi:H "
    "i_ctime_extra:I i_mtime_extra:I i_atime_extra:I i_crtime:I i_crtime_extra:I i_version_hi:I i_projid:I "
    "attributes-in-inode:96s",
    256,
)
ROOT_INODE, RESERVED = 2, 11
EXTENTS_FLAG, EXTENT_MAGIC = 0x80000, 0xF30A
DIRECTORY, SYMLINK, FILE_TYPE = 0x4000, 0xA000, 0xF000
NAMED = {7: "resize inode", 8: "journal"}


@dataclass
class Map:
    """Which path an inode has and what a block holds, as far as one image tells."""

    image: bytes
    inodes: dict[int, str] = field(default_factory=dict)
    blocks: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        superblock = self.image[SUPERBLOCK_AT : SUPERBLOCK_AT + SUPERBLOCK.size]
        self.size = 1024 << SUPERBLOCK["s_log_block_size"].number(superblock)
        self.per_group = SUPERBLOCK["s_inodes_per_group"].number(superblock)
        count = SUPERBLOCK["s_blocks_count"].number(superblock)
        group = SUPERBLOCK["s_blocks_per_group"].number(superblock)
        self.group_blocks = group
        self.groups = -(-count // group)
        self.descriptors = SUPERBLOCK["s_first_data_block"].number(superblock) + 1
        self._groups()
        for number, name in NAMED.items():
            self._inode(number, name)
        self._inode(ROOT_INODE, "/")

    def block(self, number: int) -> bytes:
        return self.image[number * self.size : (number + 1) * self.size]

    def descriptor(self, group: int) -> bytes:
        at = self.descriptors * self.size + group * GROUP.size
        return self.image[at : at + GROUP.size]

    def _groups(self) -> None:
        tables = -(-self.groups * GROUP.size // self.size)
        self.blocks[0] = "superblock"
        self.blocks |= {self.descriptors + n: "group descriptors" for n in range(tables)}
        for group in range(self.groups):
            descriptor = self.descriptor(group)
            self.blocks[GROUP["bg_block_bitmap"].number(descriptor)] = f"block bitmap of group {group}"
            self.blocks[GROUP["bg_inode_bitmap"].number(descriptor)] = f"inode bitmap of group {group}"
            table = GROUP["bg_inode_table"].number(descriptor)
            for block in range(-(-self.per_group * INODE.size // self.size)):
                self.blocks[table + block] = "inode table"

    def inode(self, number: int) -> bytes:
        """The 256 bytes of an inode."""
        group, index = divmod(number - 1, self.per_group)
        at = GROUP["bg_inode_table"].number(self.descriptor(group)) * self.size + index * INODE.size
        return self.image[at : at + INODE.size]

    def numbers_in(self, block: int) -> Iterator[int]:
        """The inodes that stand in a block of an inode table."""
        for group in range(self.groups):
            first = block - GROUP["bg_inode_table"].number(self.descriptor(group))
            if 0 <= first * self.size < self.per_group * INODE.size:
                start = group * self.per_group + first * (self.size // INODE.size) + 1
                yield from range(start, start + self.size // INODE.size)

    def _inode(self, number: int, path: str) -> None:
        if number in self.inodes:
            return
        self.inodes[number] = path
        inode = self.inode(number)
        kind = INODE["i_mode"].number(inode) & FILE_TYPE
        if acl := INODE["i_file_acl"].number(inode):
            self.blocks[acl] = f"attributes of {path}"
        if not INODE["i_flags"].number(inode) & EXTENTS_FLAG:
            return
        if kind == SYMLINK and INODE["i_size"].number(inode) < INODE["i_block"].size:
            return
        what = {DIRECTORY: "folder", SYMLINK: "target of link"}.get(kind, "data of")
        blocks = list(self._extents(INODE["i_block"].read(inode), path))
        self.blocks |= dict.fromkeys(blocks, f"{what} {path}")
        if kind == DIRECTORY:
            for child, name in self._names(blocks):
                self._inode(child, f"{path.rstrip('/')}/{name}")

    def _extents(self, node: bytes, path: str) -> Iterator[int]:
        magic, entries, _, depth = struct.unpack_from("<4H", node)
        if magic != EXTENT_MAGIC:
            return
        for at in range(12, 12 + 12 * entries, 12):
            if depth:
                _, low, high, _ = struct.unpack_from("<IIHH", node, at)
                self.blocks[low | high << 32] = f"extent tree of {path}"
                yield from self._extents(self.block(low | high << 32), path)
            else:
                _, length, high, low = struct.unpack_from("<IHHI", node, at)
                yield from range(low | high << 32, (low | high << 32) + (length & 0x7FFF))

    def _names(self, blocks: list[int]) -> Iterator[tuple[int, str]]:
        for block in map(self.block, blocks):
            at = 0
            while at + 8 <= len(block):
                number, length, size, _ = struct.unpack_from("<IHBB", block, at)
                name = block[at + 8 : at + 8 + size].decode("utf-8", "backslashreplace")
                if number and name not in (".", ".."):
                    yield number, name
                if length < 8:
                    break
                at += length


def compare_ext4(left: bytes, right: bytes) -> list[Difference]:
    """Every structure that differs, each once, in the order of the image."""
    if len(left) != len(right):
        return [Difference("ext4: size of the image in bytes", str(len(left)), str(len(right)))]
    ours, theirs = Map(left), Map(right)
    found: list[Difference] = []
    for number in range(-(-len(left) // ours.size)):
        if ours.block(number) != theirs.block(number):
            found += _compare_block(number, ours, theirs)
    return list(dict.fromkeys(found))


def _compare_block(number: int, ours: Map, theirs: Map) -> list[Difference]:
    holds = ours.blocks.get(number) or theirs.blocks.get(number)
    one, other = ours.block(number), theirs.block(number)
    if holds == "superblock":
        end = SUPERBLOCK_AT + SUPERBLOCK.size
        found = SUPERBLOCK.compare("ext4 superblock", one[SUPERBLOCK_AT:end], other[SUPERBLOCK_AT:end])
        return found or [Difference("ext4 boot block")]
    if holds == "group descriptors":
        return [
            difference
            for group in range(ours.groups)
            for difference in GROUP.compare(f"ext4 group {group}", ours.descriptor(group), theirs.descriptor(group))
        ]
    if holds == "inode table":
        return [
            difference
            for inode in ours.numbers_in(number)
            for difference in INODE.compare(_inode_name(inode, ours, theirs), ours.inode(inode), theirs.inode(inode))
        ]
    if holds:
        return [Difference(f"ext4 {holds}")]
    if number % ours.group_blocks in (0, 1) and number > 1:
        return [Difference(f"ext4 backup superblock or descriptors of group {number // ours.group_blocks}")]
    return [Difference(f"ext4 block {number}, which no file has")]


def _inode_name(number: int, ours: Map, theirs: Map) -> str:
    name = ours.inodes.get(number) or theirs.inodes.get(number)
    if name:
        return f"ext4 inode of {name}"
    return f"ext4 reserved inode {number}" if number < RESERVED else f"ext4 unused inode {number}"
