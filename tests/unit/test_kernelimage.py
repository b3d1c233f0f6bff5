"""Kernel images are taken apart whatever their shape, and QEMU gets the fastest form."""

from __future__ import annotations

import struct
import zlib

import kernel_files as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.build import decompress, kernelimage
from sampan.core.errors import SampanError

CONFIG = "CONFIG_NAMESPACES=y\nCONFIG_IKCONFIG=y\n"
#: The mark alone, as in a symbol table, stands before the real one; text around makes it compressible.
PLAIN = b"code " * 400 + made.BANNER + b"IKCFG_ST\0 symbols" + made.ikconfig(CONFIG) + b"more code " * 200

SHAPES = {
    "vmlinux": (made.elf(PLAIN), ("ELF",)),
    "Image": (made.arm64_image(PLAIN), ("Image",)),
    "uImage": (made.uimage(PLAIN), ("uImage", "raw")),
    "FIT-plain": (made.fit(PLAIN), ("FIT", "raw")),
}
for _name, _compress in made.COMPRESS.items():
    SHAPES |= {
        f"bzImage-{_name}": (made.bzimage(_compress(made.elf(PLAIN))), ("bzImage", _name, "ELF")),
        f"zImage-{_name}": (made.zimage(_compress(PLAIN)), ("zImage", _name, "raw")),
        f"Image.{_name}": (_compress(made.arm64_image(PLAIN)), (_name, "Image")),
        f"zboot-{_name}": (made.zboot(_compress(made.arm64_image(PLAIN)), _name), ("zboot", _name, "Image")),
        f"uImage-{_name}": (made.uimage(_compress(PLAIN)), ("uImage", _name, "raw")),
        f"FIT-{_name}": (made.fit(_compress(made.arm64_image(PLAIN))), ("FIT", _name, "Image")),
    }


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_gives_release_and_configuration(name: str) -> None:
    data, shape = SHAPES[name]
    kernel = kernelimage.unpack(data)
    assert kernel.shape == shape
    assert kernel.release == made.RELEASE
    assert kernelimage.ikconfig(kernel.plain) == CONFIG


def test_without_ikconfig_there_is_none() -> None:
    assert kernelimage.ikconfig(made.BANNER + b"IKCFG_ST but no stream") is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Linux version"),
        (b"a text file\n" * 100, "Linux version"),
        (made.elf(b"no banner"), "Linux version"),
        (made.bzimage(made.COMPRESS["xz"](PLAIN))[:3000], "bzImage"),
        (made.bzimage(b"", protocol=0x203), "boot protocol 2.03"),
        (made.bzimage(decompress.LZO_MAGIC + bytes(50)), "lzo"),
        (made.zimage(b"nothing"), "no compressed kernel"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b"MZ\0\0zimg", "Linux version"),
    ],
    ids=["empty", "text", "elf", "truncated", "old", "lzo", "zimage", "gzip", "zboot"],
)
def test_what_is_no_kernel_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(kernelimage.NotAKernel, match=reason):
        kernelimage.unpack(data)
    with pytest.raises(SampanError, match="not a kernel image"):
        kernelimage.boot_image(data, "x86_64", "q35")


@settings(max_examples=300)
@given(st.sampled_from(sorted(SHAPES)), st.data())
def test_damage_is_refused_or_harmless(name: str, data: st.DataObject) -> None:
    image = bytearray(SHAPES[name][0])
    for _ in range(data.draw(st.integers(1, 5))):
        image[data.draw(st.integers(0, min(len(image) - 1, 4000)))] = data.draw(st.integers(0, 255))
    try:
        kernelimage.unpack(bytes(image[: data.draw(st.integers(0, len(image)))]))
    except kernelimage.NotAKernel as error:
        assert str(error)


@given(st.binary(max_size=3000), st.integers(1, 400))
def test_lz4_gives_back_what_was_packed(data: bytes, repeat: int) -> None:
    whole = data * min(repeat, 20)
    if whole:
        assert decompress.decompress(made.lz4(whole) + struct.pack("<I", len(whole))) == whole


def test_lz4_in_several_blocks() -> None:
    data = bytes(range(256)) * 50
    assert decompress.decompress(made.lz4(data, block=1000)) == data


@pytest.mark.parametrize("bits", [32, 64])
def test_pvh_is_seen_by_its_note(bits: int) -> None:
    assert kernelimage.has_pvh(made.elf(PLAIN, pvh=True, bits=bits))
    assert not kernelimage.has_pvh(made.elf(PLAIN, bits=bits))
    assert not kernelimage.has_pvh(b"\x7fELF" + bytes(10))


def test_x86_boots_the_elf_when_qemu_can_start_it() -> None:
    vmlinux = made.elf(PLAIN, pvh=True)
    image = made.bzimage(made.COMPRESS["zstd"](vmlinux))
    assert kernelimage.boot_image(image, "x86_64", "q35") == (vmlinux, "vmlinux (PVH)")


def test_x86_without_pvh_stays_as_it_is() -> None:
    image = made.bzimage(made.COMPRESS["zstd"](made.elf(PLAIN)))
    assert kernelimage.boot_image(image, "x86", "q35") == (image, "bzImage")


def test_arm64_boots_the_plain_image() -> None:
    plain = made.arm64_image(PLAIN)
    assert kernelimage.boot_image(made.zboot(made.COMPRESS["gzip"](plain), "gzip"), "aarch64", "virt") == (
        plain,
        "Image",
    )


def test_arm_boots_a_uimage_at_ram_base_and_text_offset() -> None:
    boot, _ = kernelimage.boot_image(
        made.zimage(made.COMPRESS["xz"](PLAIN), text_offset=0x208000), "armv7", "virt,highmem=off"
    )
    magic, crc, _, size, load, entry, data_crc = struct.unpack_from(">7I", boot)
    assert (magic, size, load, entry) == (0x27051956, len(PLAIN), 0x40208000, 0x40208000)
    assert data_crc == zlib.crc32(PLAIN) == zlib.crc32(boot[64:])
    assert crc == zlib.crc32(boot[:4] + bytes(4) + boot[8:64])
    assert struct.unpack_from("4B", boot, 28) == (5, 2, 2, 0)


@pytest.mark.parametrize(("machine", "offset"), [("a-new-machine", 0x8000), ("virt", None)])
def test_arm_stays_as_it_is_when_the_address_is_unknown(machine: str, offset: int | None) -> None:
    image = made.zimage(made.COMPRESS["xz"](PLAIN), text_offset=offset)
    assert kernelimage.boot_image(image, "armv7", machine) == (image, "zImage")
