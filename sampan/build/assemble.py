"""Write image.json: all that later steps read of a build.

Every file it names lies below its own folder and is no link out of it, so that a copied
folder still boots. kernel.json is what sampan.build.kernel writes beside the kernel's files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from sampan.board import load
from sampan.board.model import Board
from sampan.build import action
from sampan.build import devices as lists
from sampan.build import kernel as kernels
from sampan.build.image import FORMAT, DeviceList, File, Image, KernelInfo, save
from sampan.core.errors import SampanError

INITRDS = ("cpio.gz", "cpio.zst", "cpio")  #: in the order in which -initrd takes them


def file_of(path: Path, folder: Path) -> File:
    """A file's record; SampanError when a copy of the folder would miss it."""
    real, base = path.resolve(), folder.resolve()
    if not path.is_file():
        raise SampanError(f"{path}: not there", hint="build it first")
    if not real.is_relative_to(base):
        raise SampanError(f"{path}: lies outside {folder}, a copy of that folder would not boot")
    return File.of(base / path.absolute().relative_to(folder.absolute()), base)


def command_line(board: Board) -> str:
    """The kernel's command line: the console last named is the one /dev/console means."""
    console = board.console
    speed = "" if console.tty.startswith("hvc") else f",{console.baud}"
    return " ".join((*board.kernel.cmdline, f"console={console.tty}{speed}"))


def rootfs_files(paths: Iterable[Path], folder: Path) -> dict[str, File]:
    """rootfs.FORMAT files by format."""
    files = {}
    for path in paths:
        stem, _, form = path.name.partition(".")
        if stem != "rootfs" or not form:
            raise SampanError(f"{path}: an image of a root file system is named rootfs.FORMAT")
        files[form] = file_of(path, folder)
    return dict(sorted(files.items()))


def initrd_of(formats: Iterable[str]) -> str:
    """The format that -initrd gets."""
    found = set(formats)
    for name in INITRDS:
        if name in found:
            return name
    raise SampanError(
        f"none of the formats {', '.join(sorted(found)) or '(none)'} is an initramfs",
        hint=f"add one of {', '.join(INITRDS)} to rootfs.formats in board.toml",
    )


def assemble(
    board: Board,
    *,
    kernel: Path,
    manifest: Path,
    data: Path,
    rootfs: Iterable[Path],
    folder: Path,
    devices: dict[str, DeviceList] | None = None,
) -> Image:
    """The content of image.json for files below `folder`; `devices` are lists by container."""
    info = kernels.load(kernel)
    images = rootfs_files(rootfs, folder)
    return Image(
        format=FORMAT,
        board=board.name,
        description=board.description,
        arch=board.arch,
        console=board.console,
        kernel=KernelInfo(
            release=info.release,
            version=info.version,
            image=file_of(kernel.parent / info.image, folder),
            boot=file_of(kernel.parent / info.boot, folder),
            config=file_of(kernel.parent / info.config, folder),
            dtb=file_of(kernel.parent / info.dtb, folder) if info.dtb else None,
            modules=info.modules,
        ),
        rootfs=images,
        initrd=initrd_of(images),
        manifest=file_of(manifest, folder),
        data=file_of(data, folder),
        cmdline=command_line(board),
        qemu=board.qemu,
        devices=devices or {},
    )


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.assemble", "Write image.json, which names all files of a built image.")
    parser.add_argument("--board", required=True)
    parser.add_argument("--kernel", type=Path, required=True, help="kernel.json")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the pristine data disk")
    parser.add_argument("--devices", type=Path, help="devices.json")
    parser.add_argument("--rootfs", type=Path, nargs="+", required=True, metavar="rootfs.FORMAT")
    parser.add_argument("--out", type=Path, required=True, help="image.json; all files lie below its folder")
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    if args.out.name != "image.json":
        raise SampanError(f"{args.out}: the file is named image.json")
    folder = args.out.absolute().parent
    image = assemble(
        load.load(args.board),
        kernel=args.kernel,
        manifest=args.manifest,
        data=args.data,
        rootfs=args.rootfs,
        folder=folder,
        devices=lists.load(args.devices) if args.devices else None,
    )
    save(image, folder)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
