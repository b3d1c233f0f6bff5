"""ELF modules made by hand, for the tests of the .modinfo reader."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence


def modinfo(values: Mapping[str, Sequence[str]]) -> bytes:
    return b"".join(f"{key}={value}".encode() + b"\0" for key, items in values.items() for value in items)


def module(values: Mapping[str, Sequence[str]], *, bits: int = 64, order: str = "<") -> bytes:
    """A relocatable ELF file with .modinfo and .shstrtab, nothing else."""
    content, names = modinfo(values), b"\0.modinfo\0.shstrtab\0"
    wide = bits == 64
    head = 64 if wide else 52
    size = 64 if wide else 40
    table = head + len(content) + len(names)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    fields = (1, 62, 1, 0, 0, table, 0, head, 0, 0, size, 3, 2)
    header = ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *fields)

    def section(name: int, offset: int, length: int) -> bytes:
        return struct.pack(order + ("IIQQQQIIQQ" if wide else "10I"), name, 1, 0, 0, offset, length, 0, 0, 1, 0)

    sections = bytes(size) + section(1, head, len(content)) + section(10, head + len(content), len(names))
    return header + content + names + sections
