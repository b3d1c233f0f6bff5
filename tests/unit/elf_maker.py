"""Hand-made ELF files: headers, program headers and a dynamic section, and nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
MACHINES = {"x86": (3, 32), "x86_64": (62, 64), "armv6": (40, 32), "armv7": (40, 32), "aarch64": (183, 64)}
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_TEXTREL, DT_RUNPATH, DT_FLAGS = 1, 5, 10, 14, 15, 22, 29, 30
R, W, X = 4, 2, 1
PAGE = 0x1000  #: file offset and address of what the segments hold
EABI5 = 0x05000000


@dataclass
class Elf:
    """What the file says; `build()` gives its bytes."""

    arch: str = "x86_64"
    type: int = ET_EXEC
    flags: int | None = None
    stack: int | None = R | W
    text: int = R | X
    interpreter: str = ""
    needed: list[str] = field(default_factory=list)
    strings: dict[int, str] = field(default_factory=dict)  #: further dynamic entries with a string
    numbers: dict[int, int] = field(default_factory=dict)  #: and with a number
    relro: bool = True
    big_endian: bool = False

    def build(self) -> bytes:
        machine, bits = MACHINES[self.arch]
        self._order = ">" if self.big_endian else "<"
        self._word = "Q" if bits == 64 else "I"
        flags = self.flags if self.flags is not None else EABI5 if self.arch.startswith("armv") else 0
        body, segments = self._body()
        table = b"".join(self._segment(bits, *segment) for segment in segments)
        size = 64 if bits == 64 else 52
        ident = b"\x7fELF" + bytes([bits // 32, 2 if self.big_endian else 1, 1]) + bytes(9)
        head = ident + struct.pack(
            f"{self._order}HHI3{self._word}I6H",
            self.type, machine, 1, PAGE, size if segments else 0, 0, flags,
            size, 56 if bits == 64 else 32, len(segments), 64 if bits == 64 else 40, 0, 0,
        )  # fmt: skip
        assert len(head) == size
        return (head + table).ljust(PAGE, b"\0") + body

    def _body(self) -> tuple[bytes, list[tuple[int, int, int, int]]]:
        """The bytes from PAGE on, and (type, flags, offset, size) of each segment."""
        if self.type == ET_REL:
            return b"", []
        body = self.interpreter.encode() + b"\0"
        segments = [(PT_INTERP, R, PAGE, len(body))] if self.interpreter else []
        dynamic = [(DT_NEEDED, name) for name in self.needed] + list(self.strings.items())
        if dynamic or self.numbers:
            body = body.ljust(-(-len(body) // 8) * 8, b"\0")
            strings = b"\0" + b"".join(text.encode() + b"\0" for _, text in dynamic)
            at, offsets = 1, []
            for _, text in dynamic:
                offsets.append(at)
                at += len(text.encode()) + 1
            entries = [(tag, offset) for (tag, _), offset in zip(dynamic, offsets, strict=True)]
            entries += [*self.numbers.items(), (DT_STRTAB, PAGE + len(body)), (DT_STRSZ, len(strings)), (0, 0)]
            body = (body + strings).ljust(-(-(len(body) + len(strings)) // 8) * 8, b"\0")
            table = b"".join(struct.pack(f"{self._order}2{self._word}", *entry) for entry in entries)
            segments.append((PT_DYNAMIC, R | W, PAGE + len(body), len(table)))
            body += table
        if self.stack is not None:
            segments.append((PT_GNU_STACK, self.stack, 0, 0))
        if self.relro and self.needed:
            segments.append((PT_GNU_RELRO, R, PAGE, len(body)))
        return body, [(PT_LOAD, self.text, 0, PAGE + len(body)), *segments]

    def _segment(self, bits: int, kind: int, flags: int, offset: int, size: int) -> bytes:
        words = (offset, offset, offset, size, size)
        if bits == 64:
            return struct.pack(f"{self._order}II6Q", kind, flags, *words, 8)
        return struct.pack(f"{self._order}8I", kind, *words, flags, 8)
