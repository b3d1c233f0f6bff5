"""Kernel images of every shape: unpacking, the release, the configuration inside, what QEMU boots fastest.

Shapes and offsets: Documentation/arch/x86/boot.rst, arch/arm/boot/compressed/head.S,
Documentation/arch/arm64/booting.rst and include/linux/zboot of the kernel; U-Boot's image.h.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from sampan.build import decompress
from sampan.build.decompress import Damaged
from sampan.core.errors import SampanError

_UIMAGE_MAGIC = 0x27051956
_UIMAGE_HEADER = 64  #: bytes
_ZIMAGE_MAGIC = 0x016F2818  #: at 0x24
_KLSZ = 0x5A534C4B  #: tag of the zImage's table, words: count, tag, size address, bss size, TEXT_OFFSET, ...
_FDT_MAGIC = b"\xd0\x0d\xfe\xed"
_BANNER = re.compile(rb"Linux version (\S+) ")
_DEPTH = 4  #: uImage around gzip around Image is the deepest there is


class NotAKernel(ValueError):
    """The bytes hold no Linux kernel; the text says why."""


@dataclass(frozen=True)
class Kernel:
    """A kernel image taken apart."""

    shape: tuple[str, ...]  #: from outside in, such as ("bzImage", "xz", "ELF")
    plain: bytes  #: the uncompressed kernel: vmlinux or Image
    release: str  #: uname -r


def unpack(data: bytes) -> Kernel:
    """Find the uncompressed kernel. Raises NotAKernel."""
    return _unpack(data, ())


def _unpack(data: bytes, outer: tuple[str, ...]) -> Kernel:
    if len(outer) > _DEPTH:
        raise NotAKernel("too many layers")
    shape = identify(data)
    layers = (*outer, shape)
    match shape:
        case "bzImage":
            return _payload(data, _bzimage_payload(data), layers)
        case "zboot":
            offset, size = struct.unpack_from("<II", data, 8)
            return _payload(data[: offset + size], offset, layers)
        case "uImage":
            return _unpack(data[_UIMAGE_HEADER:], layers)
        case "zImage" | "FIT":
            return _scan(data, layers)
        case "ELF" | "Image" | "raw":
            release = _BANNER.search(data)
            if not release:
                raise NotAKernel("holds no 'Linux version' text")
            return Kernel(layers, data, release[1].decode("ascii", "replace"))
    return _payload(data, 0, outer)


def identify(data: bytes) -> str:
    """The outermost shape: bzImage, zboot, uImage, zImage, Image, ELF, FIT, a compression, or "raw"."""
    if data[:4] == b"\x7fELF":
        return "ELF"
    if data[0x202:0x206] == b"HdrS":
        return "bzImage"
    if data[:2] == b"MZ" and data[4:8] == b"zimg" and len(data) >= 64:
        return "zboot"
    if data[0x38:0x3C] == b"ARM\x64":
        return "Image"
    if len(data) > 0x28 and struct.unpack_from("<I", data, 0x24)[0] == _ZIMAGE_MAGIC:
        return "zImage"
    if len(data) > _UIMAGE_HEADER and struct.unpack_from(">I", data)[0] == _UIMAGE_MAGIC:
        return "uImage"
    if data[:4] == _FDT_MAGIC:
        return "FIT"
    return decompress.name_at(data) or "raw"


def _bzimage_payload(data: bytes) -> int:
    if len(data) < 0x250:
        raise NotAKernel("bzImage: truncated")
    protocol = int.from_bytes(data[0x206:0x208], "little")
    if protocol < 0x208:
        raise NotAKernel(f"bzImage: boot protocol {protocol >> 8}.{protocol & 255:02}, 2.08 is needed")
    payload = int.from_bytes(data[0x248:0x24C], "little")
    return ((data[0x1F1] or 4) + 1) * 512 + payload


def _payload(data: bytes, at: int, layers: tuple[str, ...]) -> Kernel:
    if data[at : at + 4] == b"\x7fELF":
        return _unpack(data[at:], layers)
    if data[at : at + 9] == decompress.LZO_MAGIC:
        raise NotAKernel("compressed with lzo, which is not read: give the .config or an uncompressed image")
    try:
        plain = decompress.decompress(data, at)
    except Damaged as error:
        raise NotAKernel(f"{layers[-1] if layers else 'file'}: payload: {error}") from error
    return _unpack(plain, (*layers, decompress.name_at(data, at)))


def _scan(data: bytes, layers: tuple[str, ...]) -> Kernel:
    """A zImage or FIT says nothing useful of where its kernel is: try every place that looks like one."""
    for at in _magics(data):
        try:
            return _payload(data, at, layers)
        except NotAKernel:
            continue
    if layers[-1] == "FIT" and _BANNER.search(data):
        return Kernel((*layers, "raw"), data, _BANNER.search(data)[1].decode("ascii", "replace"))  # type: ignore[index]
    raise NotAKernel(f"{layers[-1]}: no compressed kernel found inside")


def _magics(data: bytes) -> Iterator[int]:
    magics = [magic for magic, _ in decompress.FORMATS.values()]
    pattern = re.compile(b"|".join(re.escape(magic) for magic in magics))
    return (match.start() for match in pattern.finditer(data))


def ikconfig(plain: bytes) -> str | None:
    """The .config inside an uncompressed kernel (or configs.ko) built with IKCONFIG; None without."""
    at = -1
    while (at := plain.find(b"IKCFG_ST", at + 1)) >= 0:
        try:
            # The mark also stands in symbol tables: only one with a gzip stream behind it counts.
            return decompress.decompress(plain, at + 8).decode("utf-8", "replace")
        except Damaged:
            continue
    return None


def has_pvh(vmlinux: bytes) -> bool:
    """Whether QEMU can start this ELF directly: a note XEN_ELFNOTE_PHYS32_ENTRY (18) of "Xen"."""
    if vmlinux[:4] != b"\x7fELF" or len(vmlinux) < 64:
        return False
    wide = vmlinux[4] == 2
    try:
        (table,) = struct.unpack_from("<Q" if wide else "<I", vmlinux, 0x20 if wide else 0x1C)
        size, count = struct.unpack_from("<HH", vmlinux, 0x36 if wide else 0x2A)
        for index in range(count):
            at = table + index * size
            (kind,) = struct.unpack_from("<I", vmlinux, at)
            (offset,) = struct.unpack_from("<Q" if wide else "<I", vmlinux, at + (8 if wide else 4))
            (length,) = struct.unpack_from("<Q" if wide else "<I", vmlinux, at + (32 if wide else 16))
            if kind == 4 and any(note == (b"Xen\0", 18) for note in _notes(vmlinux[offset : offset + length])):
                return True
    except struct.error:
        return False
    return False


def _notes(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at + 12 <= len(data):
        name, content, kind = struct.unpack_from("<III", data, at)
        yield data[at + 12 : at + 12 + name], kind
        at += 12 + (name + 3 & ~3) + (content + 3 & ~3)


def text_offset(zimage: bytes) -> int | None:
    """TEXT_OFFSET from a zImage's table (kernel 4.15 and later); None when it has none."""
    at = zimage.find(struct.pack("<I", _KLSZ))
    if at < 4:
        return None
    count, _, _, _, offset = struct.unpack_from("<IIIII", zimage, at - 4)
    return offset if count >= 4 and 0x8000 <= offset < 0x1000000 else None


def make_uimage(image: bytes, load: int, name: str) -> bytes:
    """A legacy U-Boot image around an ARM Image: uncompressed, to `load`, started at its first byte."""

    # os 5 Linux, architecture 2 ARM, type 2 kernel, compression 0 none
    def header(crc: int) -> bytes:
        label = name.encode("ascii", "replace")[:32]
        fields = (_UIMAGE_MAGIC, crc, 0, len(image), load, load, zlib.crc32(image), 5, 2, 2, 0, label)
        return struct.pack(">7I4B32s", *fields)

    return header(zlib.crc32(header(0))) + image


#: Where RAM starts on QEMU's ARM machines (hw/arm/*.c), for images that are linked to no address.
RAM_BASE = {
    "virt": 0x4000_0000,
    "vexpress-a9": 0x6000_0000,
    "vexpress-a15": 0x8000_0000,
    "sabrelite": 0x1000_0000,
    "mcimx6ul-evk": 0x8000_0000,
    "mcimx7d-sabre": 0x8000_0000,
    "orangepi-pc": 0x4000_0000,
    "cubieboard": 0x4000_0000,
    "raspi0": 0,
    "raspi1ap": 0,
    "raspi2b": 0,
    "smdkc210": 0x4000_0000,
    "ast2600-evb": 0x8000_0000,
    "highbank": 0,
    "midway": 0,
}


def boot_image(data: bytes, arch: str, machine: str) -> tuple[bytes, str]:
    """What QEMU's -kernel should get, and its shape for a person.

    `machine` is QEMU's -machine value. An image that QEMU could not start uncompressed comes
    back as it is. Raises SampanError when the bytes are no kernel.
    """
    try:
        kernel = unpack(data)
    except NotAKernel as error:
        raise SampanError(f"not a kernel image: {error}") from error
    if arch in ("x86", "x86_64"):
        return (kernel.plain, "vmlinux (PVH)") if has_pvh(kernel.plain) else (data, kernel.shape[0])
    if arch == "aarch64":
        return kernel.plain, "Image"
    base, offset = RAM_BASE.get(machine.partition(",")[0]), text_offset(data)
    if kernel.shape[0] == "zImage" and base is not None and offset is not None:
        return make_uimage(kernel.plain, base + offset, f"Linux {kernel.release}"), "uImage of the plain Image"
    return data, kernel.shape[0]
