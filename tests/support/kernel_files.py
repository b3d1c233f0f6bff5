"""Kernel images of every shape made by hand: a few bytes of text instead of a kernel, real containers."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable

import zstandard

RELEASE = "6.1.0-made-by-hand"
BANNER = f"Linux version {RELEASE} (a@b) #1\n".encode()


def ikconfig(config: str) -> bytes:
    return b"IKCFG_ST" + gzip.compress(config.encode()) + b"IKCFG_ED"


def lz4_block(data: bytes) -> bytes:
    """A plain greedy LZ4 block: a match of 4 or more where the same 4 bytes stood before."""
    out, anchor, at, seen = bytearray(), 0, 0, {}
    while at < len(data) - 12:
        key = data[at : at + 4]
        before = seen.get(key, -1)
        seen[key] = at
        if before < 0 or at - before > 0xFFFF:
            at += 1
            continue
        length = 4
        while at + length < len(data) - 5 and data[before + length] == data[at + length]:
            length += 1
        _sequence(out, data[anchor:at], at - before, length)
        at += length
        anchor = at
    _sequence(out, data[anchor:], 0, 0)
    return bytes(out)


def _sequence(out: bytearray, literals: bytes, offset: int, length: int) -> None:
    def more(value: int) -> bytes:
        return b"" if value < 15 else b"\xff" * ((value - 15) // 255) + bytes([(value - 15) % 255])

    match = max(length - 4, 0)
    out += bytes([min(len(literals), 15) << 4 | min(match, 15)]) + more(len(literals)) + literals
    if offset:
        out += struct.pack("<H", offset) + more(match)


def lz4(data: bytes, block: int = 8 << 20) -> bytes:
    out = b"\x02\x21\x4c\x18"
    for at in range(0, len(data), block):
        packed = lz4_block(data[at : at + block])
        out += struct.pack("<I", len(packed)) + packed
    return out


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4,
}


def elf(content: bytes, *, pvh: bool = False, bits: int = 64) -> bytes:
    """A vmlinux: program headers with or without the PVH note, then `content`."""
    note = struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", 0x1000000) if pvh else b""
    wide = bits == 64
    head, size = (64, 56) if wide else (52, 32)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    fields = (2, 62 if wide else 3, 1, 0, head, 0, 0, head, size, 1, 0, 0, 0)
    header = ident + struct.pack("<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", *fields)
    at = head + size
    if wide:
        program = struct.pack("<IIQQQQQQ", 4, 4, at, 0, 0, len(note), len(note), 4)
    else:
        program = struct.pack("<8I", 4, at, 0, 0, len(note), len(note), 4, 4)
    return header + program + note + content


def bzimage(payload: bytes, *, setup_sects: int = 4, protocol: int = 0x20F) -> bytes:
    """Setup sectors with the header of boot protocol 2.15, some code, the payload, its length, more code."""
    start = (setup_sects + 1) * 512
    setup = bytearray(start)
    setup[0x1F1] = setup_sects
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, protocol)
    code = b"\x90" * 300
    struct.pack_into("<II", setup, 0x248, len(code), len(payload) + 4)
    return bytes(setup) + code + payload + struct.pack("<I", 12345) + b"\xcc" * 500


def zimage(payload: bytes, *, text_offset: int | None = 0x8000) -> bytes:
    """ARM's self-extracting image, with a false gzip magic in its code and the table of kernel 4.15 and later."""
    code = bytearray(b"\x00\x00\xa0\xe1" * 64)
    struct.pack_into("<I", code, 0x24, 0x016F2818)
    code += b"\x1f\x8b\x08 not a stream "
    code += bytes(-len(code) % 4)
    if text_offset is not None:
        code += struct.pack("<IIIIII", 5, 0x5A534C4B, 0, 0x1000, text_offset, 0x10000)
    return bytes(code) + payload + struct.pack("<I", 12345) + b"\0" * 64


def arm64_image(content: bytes) -> bytes:
    header = bytearray(64)
    header[0x38:0x3C] = b"ARM\x64"
    return bytes(header) + content


def zboot(payload: bytes, kind: str) -> bytes:
    header = bytearray(64)
    header[:2], header[4:8] = b"MZ", b"zimg"
    struct.pack_into("<II", header, 8, 64, len(payload))
    header[24 : 24 + len(kind)] = kind.encode()
    return bytes(header) + payload + b"\0" * 100


def uimage(content: bytes) -> bytes:
    return struct.pack(">7I4B32s", 0x27051956, 0, 0, len(content), 0, 0, 0, 5, 2, 2, 0, b"made") + content


def fit(content: bytes) -> bytes:
    return b"\xd0\x0d\xfe\xed" + bytes(60) + b"data\0" + content + bytes(20)
