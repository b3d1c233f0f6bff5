"""What two versions of a file have in common, found from sums of blocks of the one that is elsewhere.

A block has two sums: a rolling one, so that it is found at any offset here, and CRC-32. They only
propose: whoever puts a file together checks its SHA-256 before it counts. Pure functions on bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sampan.core.errors import SampanError

BLOCK_LEAST = 256
_BLOCK_MOST = 65536
_BLOCKS = 128  #: that a file has about, in the first round
_FINER = 32  #: how much smaller blocks are in the next round
_ROLLED_MOST = 64 << 20  #: bytes that are searched at every offset: a second of processor time for each MB
_SLICE = 1 << 20
_SUMS = struct.Struct("<HHI")
_PIECE = struct.Struct("<QI")
_NEW = 0xFFFFFFFFFFFFFFFF
_PIECE_MOST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the file that is elsewhere."""

    offset: int
    size: int
    weak: int
    strong: int


@dataclass(frozen=True, slots=True)
class Same:
    """`size` bytes are the same here at `here` and there at `there`."""

    here: int
    there: int
    size: int


Range = tuple[int, int]  #: offset, size


def first_block(size: int) -> int:
    """The size of blocks to begin with for a file of about `size` bytes."""
    block = BLOCK_LEAST * 4
    while block < _BLOCK_MOST and block * _BLOCKS < size:
        block *= 2
    return block


def finer(block: int) -> int:
    """The block size of the next round, or 0 when there is none."""
    return max(BLOCK_LEAST, block // _FINER) if block > BLOCK_LEAST else 0


def parse_sums(data: bytes, ranges: Iterable[Range], block: int) -> list[Block]:
    """The blocks of `ranges` from what `sampan agent sums` printed; SampanError when it is not of the right length."""
    places = [
        (at, min(block, offset + size - at)) for offset, size in ranges for at in range(offset, offset + size, block)
    ]
    if len(data) != len(places) * _SUMS.size:
        raise SampanError(f"the target gave {len(data)} bytes of sums for {len(places)} blocks")
    return [
        Block(at, size, low | high << 16, strong)
        for (at, size), (low, high, strong) in zip(places, _SUMS.iter_unpack(data), strict=True)
    ]


def weak(data: bytes) -> int:
    """The rolling sum of a block: sum of its bytes, and sum of these sums, 16 bits each.

    >>> hex(weak(bytes([1, 2])))
    '0x40003'
    """
    sums = list(accumulate(data))
    return ((sums[-1] if sums else 0) & 0xFFFF) | (sum(sums) & 0xFFFF) << 16


def find(here: bytes, gaps: Sequence[Range], blocks: Sequence[Block], every: int) -> list[Same]:
    """What of the `gaps` of `here` is among `blocks` (of size `every`, but the last of a range); no overlaps."""
    return join(sorted(_find(here, gaps, blocks, every), key=lambda same: same.here))


def locate(here: bytes, gaps: Sequence[Range], blocks: Sequence[Block], every: int) -> list[Same]:
    """Which of `blocks` are in the `gaps` of `here`, in their order; those that are alike share one place."""
    found = _find(here, gaps, blocks, every)
    places = {same.there: same.here for same in found}
    alike = {(block.weak, block.strong): places[block.offset] for block in blocks if block.offset in places}
    for block in blocks:
        sums = (block.weak, block.strong)
        if block.offset not in places and sums in alike:
            found.append(Same(alike[sums], block.offset, block.size))
    return join(sorted(found, key=lambda same: same.there))


def _find(here: bytes, gaps: Sequence[Range], blocks: Sequence[Block], every: int) -> list[Same]:
    """First at the offset that each has there, which costs nothing; then, in what is left, anywhere."""
    found: list[Same] = []
    by_offset = {block.offset: block for block in blocks}
    for start, size in gaps:
        at = start
        for offset in range(_up(start, every), start + size, every):
            block = by_offset.get(offset)
            if block and at <= offset and offset + block.size <= start + size and _is(here, offset, block):
                found.append(Same(offset, offset, block.size))
                at = offset + block.size
    table: dict[int, list[Block]] = {}
    for block in blocks:
        table.setdefault(block.weak, []).append(block)
    left = subtract(gaps, [(same.here, same.size) for same in found])
    if sum(size for _, size in left) <= _ROLLED_MOST:
        for start, size in left:
            found += _anywhere(here, start, size, table, every)
    return found


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _is(here: bytes, at: int, block: Block) -> bool:
    piece = here[at : at + block.size]
    return zlib.crc32(piece) == block.strong and weak(piece) == block.weak


def _anywhere(here: bytes, start: int, size: int, table: dict[int, list[Block]], every: int) -> list[Same]:
    """Blocks at any offset of a range."""
    found: list[Same] = []
    end, at = start + size, start
    while at + every <= end:
        piece = here[at : min(end, at + _SLICE + every)]
        free = at
        for index, sums in _candidates(piece, every, table):
            offset = at + index
            if offset < free:
                continue
            for block in table[sums]:
                if block.size == every and zlib.crc32(here[offset : offset + every]) == block.strong:
                    found.append(Same(offset, block.offset, every))
                    free = offset + every
                    break
        at = max(free, at + len(piece) - every + 1)
    return found


def _candidates(piece: bytes, every: int, table: dict[int, list[Block]]) -> list[tuple[int, int]]:
    """Offsets in `piece` whose next `every` bytes have a rolling sum of the table, and that sum."""
    ones = list(accumulate(piece, initial=0))
    twos = list(accumulate(ones[1:], initial=0))
    return [
        (index, sums)
        for index, (low, high, low2, high2) in enumerate(zip(ones, ones[every:], twos, twos[every:], strict=False))
        if (sums := high - low & 0xFFFF | (high2 - low2 - every * low & 0xFFFF) << 16) in table
    ]


def join(found: Sequence[Same]) -> list[Same]:
    """Neighbours that continue each other both here and there as one."""
    out: list[Same] = []
    for same in found:
        last = out[-1] if out else None
        if last and last.here + last.size == same.here and last.there + last.size == same.there:
            out[-1] = Same(last.here, last.there, last.size + same.size)
        else:
            out.append(same)
    return out


def subtract(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """What of `ranges` no range of `taken` covers, in order."""
    out: list[Range] = []
    holes = sorted(taken)
    for start, size in sorted(ranges):
        at, end = start, start + size
        for hole, width in holes:
            if hole + width <= at or hole >= end:
                continue
            if hole > at:
                out.append((at, hole - at))
            at = max(at, hole + width)
        if at < end:
            out.append((at, end - at))
    return out


def coalesce(ranges: Sequence[Range], most: int) -> list[Range]:
    """At most `most` ranges that cover `ranges`: the narrowest gaps between them are taken along."""
    out = sorted(ranges)
    if len(out) <= most:
        return out
    gaps = sorted((out[i + 1][0] - sum(out[i]), i) for i in range(len(out) - 1))
    bridged = {index for _, index in gaps[: len(out) - most]}
    merged: list[Range] = []
    for index, (start, size) in enumerate(out):
        if index - 1 in bridged:
            merged[-1] = (merged[-1][0], start + size - merged[-1][0])
        else:
            merged.append((start, size))
    return merged


def pieces(here: bytes, start: int, found: Sequence[Same]) -> bytes:
    """What `sampan agent patch` makes `here` from `start` on of: pieces of the old file, and new bytes."""
    out = bytearray()
    at = start
    for same in [*found, Same(len(here), 0, 0)]:
        if same.here + same.size < at:
            continue
        if same.here > at:
            out += _PIECE.pack(_NEW, same.here - at) + here[at : same.here]
            at = same.here
        skip = at - same.here
        if same.size > skip:
            out += _PIECE.pack(same.there + skip, same.size - skip)
            at += same.size - skip
    return bytes(out)


def prefix(here: bytes, blocks: Sequence[Block]) -> int:
    """How many bytes from the start on are the same here and there, by whole blocks in order."""
    at = 0
    for block in blocks:
        if block.offset != at or at + block.size > len(here) or not _is(here, at, block):
            break
        at += block.size
    return at
