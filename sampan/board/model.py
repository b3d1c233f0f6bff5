"""board/NAME/board.toml as frozen values.

A board is what is true of one machine; a build, a boot or a flash only reads it. Every table
and key is documented in docs/board.md, which is written from these classes. Names follow the
field: machine names and console conventions are Yocto's (SERIAL_CONSOLES), `qemu.*` are QEMU's
own words, kernel module names are the kernel's.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Arch = Literal["x86", "x86_64", "armv6", "armv7", "aarch64"]
DebianKernel = Literal["5.10", "6.1", "6.12"]
Format = Literal["cpio", "cpio.gz", "cpio.zst", "ext4", "squashfs"]
Size = Annotated[str, Meta(pattern=r"^[1-9][0-9]*[KMG]$")]
Tty = Annotated[str, Meta(pattern=r"^tty[A-Za-z]+[0-9]+$|^hvc[0-9]+$")]
ModuleName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Table(msgspec.Struct, frozen=True):
    """A TOML table."""


class Console(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The serial console a person logs in on."""

    tty: Tty  #: kernel name, as in console=
    baud: Annotated[int, Meta(ge=300, le=4_000_000)] = 115200  #: bits per second, 8N1


class Kernel(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the kernel comes from and which modules go in the image."""

    provider: Literal["debian", "files"]
    package: str = ""  #: debian: (meta)package, such as linux-image-cloud-amd64
    version: DebianKernel = "6.1"  #: debian: the release that has it: 5.10 bullseye, 6.1 bookworm, 6.12 trixie
    debian_arch: str = ""  #: debian: architecture of that package, such as armhf
    image: str = ""  #: files: kernel image, relative to the board's folder or absolute
    config: str = ""  #: files: its .config ("" when the image has IKCONFIG)
    modules: str = ""  #: files: lib/modules/RELEASE folder or modules-*.tgz ("" when none)
    dtb: str = ""  #: device tree; debian: its file name in the package, files: a path as image ("" when QEMU makes one)
    load: tuple[ModuleName, ...] = ()  #: modules loaded at boot, in this order, with their closure
    cmdline: tuple[str, ...] = ()  #: parameters besides console=


class Rootfs(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes in the root file system and in which formats it is written."""

    formats: tuple[Format, ...] = ("cpio.gz", "cpio.zst", "ext4", "squashfs")
    busybox: tuple[str, ...] = ("base",)  #: fragments of configs/busybox, later ones win
    containers: tuple[str, ...] = ("app_bash", "sys_elinux", "sys_elinux.fixed")  #: of configs/containers
    manifests: tuple[str, ...] = ()  #: further manifests, relative to the board's folder
    hostname: str = ""  #: "" is the board's name


class Storage(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The data disk: an ext4 file system mounted at /var/lib/lxc."""

    data_size: Size = "64M"


class Qemu(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How QEMU runs this board."""

    system: str  #: program, such as qemu-system-arm
    machine: str  #: -machine
    cpu: str = ""  #: -cpu under TCG; "" for the one the machine is made with
    memory: Size = "256M"  #: -m
    smp: Annotated[int, Meta(ge=1, le=64)] = 1
    kernel: Literal["uncompressed", "as-is"] = "uncompressed"  #: what -kernel gets
    uart: Annotated[int, Meta(ge=0, le=7)] = 0  #: which of the machine's UARTs the console is on
    drive: str = "virtio-blk-pci"  #: device model of the data disk; "sd" for the SD card slot, "" for no disk
    rng: str = "virtio-rng-pci"  #: device model that feeds the guest's random pool; "" for none
    devices: tuple[str, ...] = ()  #: further -device values
    cmdline: tuple[str, ...] = ()  #: kernel parameters for QEMU only


class Build(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When it is built."""

    default: bool = True  #: one of `--all`; false for a board that is built only when it is named


class Board(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One board. `name` is its folder's name, `variant` what stood behind the @ of NAME@KERNEL."""

    name: str = ""
    variant: str = ""
    description: Annotated[str, Meta(min_length=1)]
    arch: Arch
    console: Console
    kernel: Kernel
    qemu: Qemu
    rootfs: Rootfs = Rootfs()
    storage: Storage = Storage()
    build: Build = Build()

    @property
    def spec(self) -> str:
        """What a person calls it, and the name of its folder below build/: NAME or NAME@KERNEL."""
        return f"{self.name}@{self.variant}" if self.variant else self.name
