"""What the comparison of every image format is made of: fields of structures, and differences."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_CHUNK = 65536


@dataclass(frozen=True)
class Difference:
    """One structure that differs. `left` and `right` are values for a person, "" when only bytes differ."""

    structure: str
    left: str = ""
    right: str = ""

    def __str__(self) -> str:
        return f"{self.structure}: {self.left} != {self.right}" if self.left or self.right else self.structure


@dataclass(frozen=True)
class Field:
    """A little-endian number, or a run of bytes, of an on-disk structure."""

    name: str
    offset: int
    size: int

    def read(self, data: bytes) -> bytes:
        return data[self.offset : self.offset + self.size]

    def number(self, data: bytes) -> int:
        return int.from_bytes(self.read(data), "little")

    def shown(self, data: bytes) -> str:
        """Decimal for what may be a number, else hexadecimal."""
        return str(self.number(data)) if self.size in (1, 2, 4, 8) else self.read(data).hex()


@dataclass(frozen=True)
class Layout:
    """The fields of a structure, one behind the other."""

    fields: tuple[Field, ...]
    size: int

    @classmethod
    def of(cls, text: str, size: int) -> Layout:
        """From words NAME:FORMAT, FORMAT being a `struct` one; their sizes must add up to `size`."""
        found, offset = [], 0
        for word in text.split():
            name, _, form = word.partition(":")
            found.append(Field(name, offset, struct.calcsize("<" + form)))
            offset += found[-1].size
        assert offset == size, f"{text.split()[0]}...: {offset} bytes, not {size}"
        return cls(tuple(found), size)

    def __getitem__(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def compare(self, where: str, left: bytes, right: bytes) -> list[Difference]:
        """A difference for each field whose bytes differ."""
        return [
            Difference(f"{where}: {field.name}", field.shown(left), field.shown(right))
            for field in self.fields
            if field.read(left) != field.read(right)
        ]


def first_difference(left: bytes, right: bytes) -> int:
    """The offset of the first byte that differs; the shorter length when one begins the other."""
    for start in range(0, min(len(left), len(right)), _CHUNK):
        one, other = left[start : start + _CHUNK], right[start : start + _CHUNK]
        if one != other:
            pairs: Sequence[tuple[int, int]] = list(zip(one, other, strict=False))
            return start + next((at for at, (a, b) in enumerate(pairs) if a != b), len(pairs))
    return min(len(left), len(right))
