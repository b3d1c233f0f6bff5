"""build/BOARD/image.json: all that later steps read.

Paths are relative to the folder that holds the file, so a copied folder still boots. The
idea is Yocto's qemuboot.conf; the difference is that every file carries its SHA-256.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sampan.board.model import Arch, Console, Qemu
from sampan.core.errors import SampanError
from sampan.core.files import sha256_file, write_bytes

FORMAT = 2  #: raised when a reader of an older image.json would go wrong


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file beside image.json."""

    file: str  #: path relative to image.json
    sha256: str
    size: int  #: bytes

    @classmethod
    def of(cls, path: Path, base: Path) -> File:
        return cls(file=path.relative_to(base).as_posix(), sha256=sha256_file(path), size=path.stat().st_size)


class KernelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The kernel: as its provider gave it, and as QEMU gets it."""

    release: str  #: uname -r
    version: str  #: the provider's version, such as a Debian package version
    image: File
    boot: File  #: what -kernel gets (uncompressed where that is faster)
    config: File
    dtb: File | None = None  #: device tree for QEMU; None when the machine makes one or has none
    modules: list[str]  #: loaded at boot, in order


class DeviceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one container of the image may touch, resolved for its board and kernel by sampan.build.devices."""

    facts: str  #: BOARD@KERNEL that the numbers are of; "" when no facts were needed
    everything: bool  #: no allow-list: every device but what it denies
    rules: list[str]  #: the smallest list, as `c 1:3 rw`; with everything: what it denies
    nodes: list[str]  #: `/dev/rtc0 c 252:0`: what the list opens by exact number
    errors: int  #: that lint finds
    warnings: int
    report: str  #: the page that tells why, relative to image.json; "" without facts


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of image.json."""

    format: int
    board: str
    description: str
    arch: Arch
    console: Console
    kernel: KernelInfo
    rootfs: dict[str, File]  #: by format: "cpio.gz", "ext4", ...
    initrd: str  #: the key of `rootfs` that -initrd gets
    manifest: File
    data: File  #: the pristine data disk
    cmdline: str  #: kernel command line, console= included
    qemu: Qemu
    partitions: list[str] = []  #: of a disk image; none yet
    devices: dict[str, DeviceList] = {}  #: by container


def save(image: Image, folder: Path) -> Path:
    """Write image.json into `folder`, sorted and indented so that two builds can be compared."""
    path = folder / "image.json"
    text = msgspec.json.format(msgspec.json.encode(image, order="sorted"), indent=2)
    write_bytes(path, text + b"\n")
    return path


def load(folder: Path) -> Image:
    """Read image.json of a build folder; a missing or foreign one is a SampanError."""
    path = folder / "image.json"
    try:
        image = msgspec.json.decode(path.read_bytes(), type=Image)
    except FileNotFoundError as error:
        raise SampanError(f"{path}: no image there", hint=f"build it: sampan build {folder.name}") from error
    except (msgspec.MsgspecError, OSError) as error:
        raise SampanError(f"{path}: {error}", hint=f"build it again: sampan build {folder.name}") from error
    if image.format != FORMAT:
        raise SampanError(
            f"{path}: format {image.format}, this sampan reads format {FORMAT}",
            hint=f"build it again: sampan build {folder.name}",
        )
    return image


def files(image: Image) -> list[File]:
    """Every file that image.json names: what a copy of the folder needs beside it."""
    kernel = image.kernel
    tree = [kernel.dtb] if kernel.dtb else []
    return [kernel.image, kernel.boot, kernel.config, *tree, *image.rootfs.values(), image.manifest, image.data]
