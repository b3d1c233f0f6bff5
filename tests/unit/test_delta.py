"""What two versions of a file have in common: whatever is found is the same, and pieces make the file again."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.control import delta
from sampan.control.delta import Block, Range, Same
from sampan.core.errors import SampanError


def blocks_of(data: bytes, every: int) -> list[Block]:
    pieces = [(at, data[at : at + every]) for at in range(0, len(data), every)]
    return [Block(at, len(piece), delta.weak(piece), zlib.crc32(piece)) for at, piece in pieces]


def patched(old: bytes, stream: bytes) -> bytes:
    """As `sampan agent patch` does it."""
    out, at = b"", 0
    while at < len(stream):
        offset, size = struct.unpack_from("<QI", stream, at)
        at += 12
        if offset == 2**64 - 1:
            out, at = out + stream[at : at + size], at + size
        else:
            out += old[offset : offset + size]
    return out


#: A file as a few runs of few letters, so that blocks repeat and nearly repeat.
FILES = st.lists(st.tuples(st.sampled_from(b"ab\0"), st.integers(1, 40)), max_size=8).map(
    lambda runs: b"".join(bytes([letter]) * size for letter, size in runs)
)


@settings(max_examples=300)
@given(FILES, FILES, st.integers(1, 16), st.integers(0, 50))
def test_what_is_found_is_the_same_and_pieces_make_the_file(old: bytes, new: bytes, every: int, start: int) -> None:
    start = min(start, len(new))
    found = delta.find(new, [(start, len(new) - start)], blocks_of(old, every), every)
    at = start
    for same in found:
        assert same.here >= at and same.size > 0
        assert new[same.here : same.here + same.size] == old[same.there : same.there + same.size]
        at = same.here + same.size
    assert patched(old, delta.pieces(new, start, found)) == new[start:]


@settings(max_examples=300)
@given(FILES, FILES, st.integers(1, 16))
def test_what_is_located_is_the_same(there: bytes, here: bytes, every: int) -> None:
    located = delta.locate(here, [(0, len(here))], blocks_of(there, every), every)
    for same in located:
        assert here[same.here : same.here + same.size] == there[same.there : same.there + same.size]
    whole = delta.locate(there, [(0, len(there))], blocks_of(there, every), every)
    assert whole == ([Same(0, 0, len(there))] if there else [])
    twice = delta.locate(there, [(0, len(there))], blocks_of(there + there, len(there)), len(there)) if there else []
    assert sum(same.size for same in twice) == 2 * len(there)


@pytest.mark.parametrize("shift", [0, 1, 37, 4096])
def test_whole_blocks_are_found_wherever_they_went(shift: int) -> None:
    old = random.Random(shift).randbytes(10_000)
    new = bytes(shift) + old
    found = delta.find(new, [(0, len(new))], blocks_of(old, 256), 256)
    assert found == [Same(shift, 0, 10_000 if shift == 0 else 10_000 // 256 * 256)]
    assert len(delta.pieces(new, 0, found)) < shift + 256 + 48


def test_the_sums_are_those_of_the_agent() -> None:
    data = random.Random(1).randbytes(1000)
    low = sum(data) & 0xFFFF
    high = sum(sum(data[: end + 1]) for end in range(len(data))) & 0xFFFF
    printed = struct.pack("<HHI", low, high, zlib.crc32(data))
    assert delta.parse_sums(printed, [(5, 1000)], 4096) == [Block(5, 1000, delta.weak(data), zlib.crc32(data))]


@pytest.mark.parametrize("size", [0, 7, 15, 17, 24])
def test_a_cut_answer_is_noticed(size: int) -> None:
    with pytest.raises(SampanError, match="bytes of sums for 2 blocks"):
        delta.parse_sums(bytes(size), [(0, 512)], 256)


RANGES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), max_size=12)


def covered(ranges: list[Range]) -> set[int]:
    return {at for start, size in ranges for at in range(start, start + size)}


@given(RANGES, RANGES)
def test_subtracting_leaves_what_nothing_covers(ranges: list[Range], taken: list[Range]) -> None:
    assert covered(delta.subtract(ranges, taken)) == covered(ranges) - covered(taken)


@given(RANGES, st.integers(1, 5))
def test_coalesced_ranges_are_few_and_cover_all(ranges: list[Range], most: int) -> None:
    apart = delta.subtract([(0, 300)], ranges)
    merged = delta.coalesce(apart, most)
    assert len(merged) <= max(most, 1) or not apart
    assert covered(merged) >= covered(apart)
    assert len(covered(merged)) == sum(size for _, size in merged)


def test_the_unfinished_part_counts_as_far_as_it_is_right() -> None:
    data = random.Random(2).randbytes(5000)
    whole = blocks_of(data[:3000], 1024)
    assert delta.prefix(data, whole) == 3000
    assert delta.prefix(data, blocks_of(data[:2048] + b"wrong" + data[2053:], 1024)) == 2048
    assert delta.prefix(data[:100], whole) == 0


def test_blocks_grow_with_the_file() -> None:
    assert [delta.first_block(size) for size in (0, 1 << 17, 1 << 20, 1 << 40)] == [1024, 1024, 8192, 65536]
    assert [delta.finer(block) for block in (65536, 8192, 2048, 256)] == [2048, 256, 256, 0]
