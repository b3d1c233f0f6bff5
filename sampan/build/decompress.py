"""One compressed stream in the middle of a file, with anything behind it.

Boot images append lengths, tables and signatures to their payloads, so every decoder here
stops at the end of its stream and ignores the rest.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable

import zstandard


class Damaged(ValueError):
    """No whole stream of this kind at that place."""


def _gzip(data: memoryview) -> bytes:
    return _whole(zlib.decompressobj(31), data)


def _xz(data: memoryview) -> bytes:
    return _whole(lzma.LZMADecompressor(lzma.FORMAT_XZ), data)


def _bzip2(data: memoryview) -> bytes:
    return _whole(bz2.BZ2Decompressor(), data)


def _lzma(data: memoryview) -> bytes:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    # With a known size there is no end mark; the size in the header tells whether all came out.
    out = decoder.decompress(data)
    (size,) = struct.unpack_from("<Q", data, 5)
    if not decoder.eof and size != len(out):
        raise Damaged("lzma: ends too early")
    return out


def _zstd(data: memoryview) -> bytes:
    return _whole(zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj(), data)


def _whole(decoder: object, data: memoryview) -> bytes:
    out: bytes = decoder.decompress(data)  # type: ignore[attr-defined]
    if not decoder.eof:  # type: ignore[attr-defined]
        raise Damaged("the stream ends too early")
    return out


def _lz4(data: memoryview) -> bytes:
    """The legacy frame that kernels use: a magic, then blocks of 8 MiB, each after its length."""
    out = bytearray()
    at = 4
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        # What follows the last block (the unpacked length, the next section) is no block.
        if size == 0 or at + 4 + size > len(data) or size > _LZ4_BLOCK_MAX:
            break
        try:
            _lz4_block(data[at + 4 : at + 4 + size], out)
        except (IndexError, Damaged):
            if not out:
                raise Damaged("lz4: damaged block") from None
            break
        at += 4 + size
    if not out:
        raise Damaged("lz4: no block")
    return bytes(out)


_LZ4_BLOCK = 8 << 20
_LZ4_BLOCK_MAX = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16


def _lz4_length(data: memoryview, at: int, length: int) -> tuple[int, int]:
    """A length of 15 goes on in the following bytes until one is not 255."""
    if length == 15:
        while True:
            byte = data[at]
            at += 1
            length += byte
            if byte != 255:
                break
    return at, length


def _lz4_block(data: memoryview, out: bytearray) -> None:
    """Append one unpacked block to `out`. Matches never reach back before the block."""
    begin, at, end = len(out), 0, len(data)
    while at < end:
        token = data[at]
        at, literals = _lz4_length(data, at + 1, token >> 4)
        if at + literals > end:
            raise Damaged("lz4: literals run over the end")
        out += data[at : at + literals]
        at += literals
        if at >= end:
            return
        offset = data[at] | data[at + 1] << 8
        at, length = _lz4_length(data, at + 2, token & 15)
        length += 4
        source = len(out) - offset
        if offset == 0 or source < begin or len(out) - begin + length > _LZ4_BLOCK:
            raise Damaged("lz4: a match points outside the block")
        if offset >= length:
            out += out[source : source + length]
        else:  # the match overlaps what it makes: a run
            out += (out[source:] * (length // offset + 1))[:length]


#: Compressions by the first bytes of their streams; the names are kbuild's.
FORMATS: dict[str, tuple[bytes, Callable[[memoryview], bytes]]] = {
    "gzip": (b"\x1f\x8b\x08", _gzip),
    "xz": (b"\xfd7zXZ\x00", _xz),
    "zstd": (b"\x28\xb5\x2f\xfd", _zstd),
    "lz4": (b"\x02\x21\x4c\x18", _lz4),
    "lzma": (b"\x5d\x00\x00", _lzma),
    "bzip2": (b"BZh", _bzip2),
}
#: Known by its magic, but no decoder is on board.
LZO_MAGIC = b"\x89LZO\x00\r\n\x1a\n"


def name_at(data: bytes | memoryview, at: int = 0) -> str:
    """The compression whose stream seems to start at `at`; "" for none."""
    head = bytes(data[at : at + 9])
    return next((name for name, (magic, _) in FORMATS.items() if head.startswith(magic)), "")


def decompress(data: bytes | memoryview, at: int = 0) -> bytes:
    """The content of the compressed stream at `at`. Raises Damaged."""
    name = name_at(data, at)
    if not name:
        raise Damaged("no known compression")
    try:
        return FORMATS[name][1](memoryview(data)[at:])
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, OSError, struct.error) as error:
        raise Damaged(f"{name}: {error}") from error
