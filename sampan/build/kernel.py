"""`python -m sampan.build.kernel`: the kernel of a board, with its configuration and modules.

Providers give a folder of files; everything after that is the same for all of them. Beside
kernel.json stand: image (as the provider gave it), boot (what QEMU gets), config,
modules.manifest (input language of a manifest) and modules/ (the files it names).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from sampan.board import load as boards
from sampan.board.model import Board
from sampan.build import action, deb, debian, kernelcheck, kernelimage, modinfo, modules, work
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import refuse_os_error, write_bytes, write_text
from sampan.core.progress import note


@dataclass(frozen=True)
class Provided:
    """What a provider found."""

    image: Path
    config: Path | None
    modules: Path | None  #: a lib/modules/RELEASE folder
    dtb: Path | None
    version: str


class Kernel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """kernel.json. File names are relative to its folder."""

    release: str  #: uname -r
    version: str  #: the provider's, such as a Debian package version
    image: str = "image"
    boot: str = "boot"
    boot_shape: str  #: what `boot` is, for a person
    config: str = "config"
    dtb: str = ""  #: "" when the board has none
    manifest: str = "modules.manifest"
    modules: list[str]  #: to load at boot, in order
    modules_sha256: str  #: over the names and bytes of modules/: changes when an image must


def load(path: Path) -> Kernel:
    """Read a kernel.json."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kernel)
    except (OSError, msgspec.MsgspecError) as error:
        raise SampanError(f"{path}: {error}", hint="build the board again") from error


def provide(board: Board, folder: Path) -> Provided:
    """Files of the board's kernel; archives are unpacked below `folder`."""
    return _debian(board, folder) if board.kernel.provider == "debian" else _files(board, folder)


def _debian(board: Board, folder: Path) -> Provided:
    package = debian.kernel_package(board.kernel.package, board.kernel.debian_arch, board.kernel.version)
    tree = f"/{board.kernel.dtb}" if board.kernel.dtb else "\0"
    files = deb.extract(package, folder, lambda name: _wanted(name) or _is_tree(name, tree))
    roots = {PurePosixPath(*PurePosixPath(name).parts[:-1]) for name in files if name.endswith("modules.order")}
    return Provided(
        image=_one(package, folder, [name for name in files if name.startswith("boot/vmlinu")], "boot/vmlinuz"),
        config=_one(package, folder, [name for name in files if name.startswith("boot/config-")], "boot/config"),
        modules=_one(package, folder, [str(root) for root in roots], "lib/modules"),
        dtb=_one(package, folder, [name for name in files if _is_tree(name, tree)], tree[1:])
        if board.kernel.dtb
        else None,
        version=deb.control(package)["version"],
    )


def _is_tree(name: str, tree: str) -> bool:
    """ARM's trees lie flat in the package, arm64's in a folder for each vendor."""
    return name.startswith("usr/lib/linux-image-") and name.endswith(tree)


def _wanted(name: str) -> bool:
    # usr/lib/modules since Debian 13; /boot/System.map is a stub that names the debug package.
    return name.startswith(("boot/vmlinu", "boot/config-", "lib/modules/", "usr/lib/modules/"))


def _one(package: Path, folder: Path, names: list[str], what: str) -> Path:
    if len(names) != 1:
        raise SampanError(f"{package.name}: {len(names)} files fit {what}", hint="is it a kernel package?")
    return folder / names[0]


def _files(board: Board, folder: Path) -> Provided:
    kernel = board.kernel
    tree = _of_board(board, "modules", kernel.modules) if kernel.modules else None
    return Provided(
        image=_of_board(board, "image", kernel.image),
        config=_of_board(board, "config", kernel.config) if kernel.config else None,
        modules=_release_folder(_unpacked(tree, folder)) if tree else None,
        dtb=_of_board(board, "dtb", kernel.dtb) if kernel.dtb else None,
        version="",
    )


def _of_board(board: Board, key: str, name: str) -> Path:
    """A path of board.toml: relative to the board's folder, or absolute."""
    home = paths.boards_dir() / board.name
    path = home / name
    if not path.exists():
        raise SampanError(f"{home / 'board.toml'}: kernel.{key}: there is no {path}", code=EXIT_USAGE)
    return path


def _unpacked(path: Path, folder: Path) -> Path:
    """`path` itself when it is a folder; else the folder its tar archive (modules-*.tgz) was unpacked to."""
    if path.is_dir():
        return path
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isreg() or name.is_absolute() or ".." in name.parts:
                    continue
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                stream = tar.extractfile(member)
                if stream:
                    with target.open("wb") as out:
                        shutil.copyfileobj(stream, out)
    except (tarfile.TarError, EOFError) as error:
        raise SampanError(f"{path}: not a tar archive of modules: {error}", code=EXIT_USAGE) from error
    except OSError as error:
        refuse_os_error(error, "unpack", path)
    return folder


def _release_folder(path: Path) -> Path:
    """The RELEASE folder at or below `path`: the one that holds kernel/ or modules.order."""
    if (path / "kernel").is_dir() or (path / "modules.order").is_file():
        return path
    found = sorted(item.parent for item in path.glob("**/modules/*/modules.order"))
    if len(found) != 1:
        names = ", ".join(item.name for item in found) or "none"
        raise SampanError(f"{path}: one lib/modules/RELEASE folder is needed, found: {names}", code=EXIT_USAGE)
    return found[0]


def build(board: Board, folder: Path) -> Kernel:
    """Make everything of the kernel below `folder` and return what kernel.json holds (it is written last)."""
    with work.folder(folder / ".unpacked") as unpacked:
        given = provide(board, unpacked)
        data = _read(given.image)
        kernel = _unpack(given.image, data)
        config = _config(board, given, kernel)
        where = f"board {board.name}: {given.config.name if given.config else given.image.name}"
        kernelcheck.require(kernelcheck.check_text(config, where, kernel.release), _cgroup(board))
        if given.modules and given.modules.name != kernel.release:
            raise SampanError(
                f"board {board.name}: the kernel is {kernel.release}, the modules are for {given.modules.name}",
                hint="the kernel would refuse to load them: take both from one build",
            )
        boot, shape = kernelimage.boot_image(data, board.arch, board.qemu.machine)
        if board.qemu.kernel == "as-is":
            boot, shape = data, kernel.shape[0]
        order = _modules(board, given, config)
        digest = _install(order, kernel.release, folder)
        write_bytes(folder / "image", data)
        write_bytes(folder / "boot", boot)
        write_text(folder / "config", config)
        if given.dtb:
            write_bytes(folder / "dtb", _device_tree(given.dtb))
        return Kernel(
            release=kernel.release,
            version=given.version,
            boot_shape=shape,
            dtb="dtb" if given.dtb else "",
            modules=[item.name for item in order],
            modules_sha256=digest,
        )


def _cgroup(board: Board) -> Literal["v1", "v2"]:
    """The cgroup version whose device list the board boots with (hybrid keeps its devices on v1)."""
    given = [word.partition("=")[2] for word in board.kernel.cmdline if word.startswith("sampan.cgroup=")]
    return "v1" if given and given[-1] in ("v1", "hybrid") else "v2"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        refuse_os_error(error, "read", path)


def _device_tree(path: Path) -> bytes:
    data = _read(path)
    if not data.startswith(b"\xd0\x0d\xfe\xed"):
        raise SampanError(f"{path.name}: not a device tree blob", code=EXIT_USAGE)
    return data


def _unpack(path: Path, data: bytes) -> kernelimage.Kernel:
    try:
        return kernelimage.unpack(data)
    except kernelimage.NotAKernel as error:
        raise SampanError(f"{path.name}: not a kernel image: {error}", code=EXIT_USAGE) from error


def _config(board: Board, given: Provided, kernel: kernelimage.Kernel) -> str:
    if given.config:
        return _read(given.config).decode("utf-8", "replace")
    inside = kernelimage.ikconfig(kernel.plain)
    if inside is None:
        raise SampanError(
            f"board {board.name}: {given.image.name} does not hold its configuration (CONFIG_IKCONFIG is not set)",
            hint='name the .config of that build in board.toml: kernel.config = "..."',
            code=EXIT_USAGE,
        )
    return inside


def _modules(board: Board, given: Provided, config: str) -> list[modules.Module]:
    """The closure of kernel.load; without modules everything must be built in, which is not proved."""
    wanted = board.kernel.load
    if not wanted:
        return []
    where = f"{paths.shown(paths.boards_dir() / board.name / 'board.toml')}: kernel.load"
    if given.modules is None:
        note(f"{where}: no modules are given; {', '.join(wanted)} must be built in")
        return []
    return modules.closure(modules.read_tree(given.modules), wanted, where)


def _install(order: list[modules.Module], release: str, folder: Path) -> str:
    """Write modules/, its tables and modules.manifest; what an earlier build left there goes.

    Returns a SHA-256 of it all: the manifest alone does not tell when a module's bytes changed.
    """
    target = folder / "modules"
    shutil.rmtree(target, ignore_errors=True)
    files = {module.relative: modinfo.content(module.path) for module in order}
    if order:
        files["modules.dep"] = modules.modules_dep(order).encode()
        files["modules.alias"] = modules.modules_alias(order).encode()
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        write_bytes(target / name, data)
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    load_list = "".join(f"{module.name}\n" for module in order)
    write_text(target / "load", load_list)
    write_text(folder / "modules.manifest", manifest(list(files), release))
    return digest.hexdigest()


def manifest(files: list[str], release: str) -> str:
    """The manifest of a module tree: folders, files, and /etc/modules with the load order."""
    base = PurePosixPath("/lib/modules") / release
    lines = ["# Modules of kernel.load and what they need; /etc/modules is the order to load them in."]
    if files:
        below = {parent for name in files for parent in (base / name).parents}
        folders = sorted({str(item) for item in below} - {"/", "/lib"})
        lines += [f"{item} dir 0755 0 0" for item in folders]
        lines += [f"{base / name} file 0644 0 0 modules/{name}" for name in sorted(files)]
    lines.append("/etc/modules file 0644 0 0 modules/load")
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.kernel", "Provide the kernel, configuration and modules of a board.")
    parser.add_argument("--board", required=True)
    parser.add_argument("--out", type=Path, required=True, help="kernel.json; its folder gets the files")
    return parser


def _main(args: argparse.Namespace) -> None:
    kernel = build(boards.load(args.board), args.out.parent)
    write_bytes(args.out, msgspec.json.format(msgspec.json.encode(kernel)) + b"\n")


if __name__ == "__main__":
    sys.exit(action.main(_parser, _main))
