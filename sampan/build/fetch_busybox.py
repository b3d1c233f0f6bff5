"""`python -m sampan.build.fetch_busybox`: the verified and patched busybox source as one tar.

The tar is made anew (sorted, no owners, one time stamp), so that it depends only on the pinned
files and every architecture builds from the same bytes.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from pathlib import Path

import msgspec

from sampan.build import action, debian, fetch, work
from sampan.core import paths
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import atomic, refuse_os_error
from sampan.core.progress import note
from sampan.core.run import run


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file and the content it must have."""

    name: str
    sha256: str


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """configs/busybox/source.toml."""

    version: str
    package: str  #: Debian's source package
    debian: str  #: its version
    upstream: str  #: the name upstream gives to `orig`
    orig: Pin
    patches: Pin


def load(path: Path) -> Source:
    """Read source.toml."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Source)
    except msgspec.MsgspecError as error:
        raise SampanError(f"{path}: {error}", code=EXIT_USAGE) from error
    except OSError as error:
        refuse_os_error(error, "read", path)


def locate(source: Source) -> tuple[Path, Path | None]:
    """The source archive and Debian's patches (None: upstream as it is), fetched when needed.

    What a build contains depends on the downloads folder alone, never on whether the network
    happened to work: upstream's archive without the patches is a choice of the person who put
    it there.
    """
    upstream = fetch.present(source.upstream, source.orig.sha256)
    if upstream and not fetch.present(source.orig.name, source.orig.sha256):
        patches = fetch.present(source.patches.name, source.patches.sha256)
        if not patches:
            note(f"{source.upstream}: built without Debian's security fixes ({source.patches.name} is not there)")
        return upstream, patches
    pins = {source.orig.name: source.orig.sha256, source.patches.name: source.patches.sha256}
    orig, patches = debian.source_files(source.package, source.debian, pins)
    return orig, patches


def _unpack(archive: Path, target: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(target, filter="data")
            else:  # Python 3.11.2, Debian 12's: no filters yet; the archives are pinned by their content
                tar.extractall(target)
    except OSError as error:
        if error.errno is None:  # bz2 and lzma say "damaged" so
            raise SampanError(f"{paths.shown(archive)}: cannot unpack: {error}") from error
        refuse_os_error(error, "unpack in", target)
    except (tarfile.TarError, EOFError) as error:
        raise SampanError(f"{paths.shown(archive)}: cannot unpack: {error}") from error


def _series(folder: Path) -> list[Path]:
    """Patches in the order of debian/patches/series."""
    lines = (folder / "series").read_text(encoding="utf-8").splitlines()
    names = [line.partition("#")[0].strip() for line in lines]
    return [folder / name for name in names if name]


def prepare(source: Source, folder: Path) -> Path:
    """Unpack and patch below `folder`; returns the source tree."""
    archive, patches = locate(source)
    _unpack(archive, folder)
    tree = folder / f"busybox-{source.version}"
    if not (tree / "Makefile").is_file():
        raise SampanError(f"{paths.shown(archive)}: holds no busybox-{source.version}/Makefile")
    if patches:
        _unpack(patches, folder)
        for patch in _series(folder / "debian/patches"):
            run(["patch", "-s", "-p1", "--no-backup-if-mismatch", "-i", patch], cwd=tree)
    return tree


def pack(tree: Path, out: Path) -> None:
    """A tar of `tree` that depends on names, contents and execute bits alone."""
    with atomic(out) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(tree.rglob("*")):
            entry = tarfile.TarInfo(f"busybox/{path.relative_to(tree).as_posix()}")
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
                tar.addfile(entry)
            elif path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size, entry.mode = len(data), 0o755 if path.stat().st_mode & 0o100 else 0o644
                tar.addfile(entry, io.BytesIO(data))


def _parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.fetch_busybox", "Fetch, verify and patch the busybox source.")
    default = paths.ROOT / "configs/busybox/source.toml"
    parser.add_argument("--pins", type=Path, default=default, help="what to fetch, with SHA-256")
    parser.add_argument("--out", type=Path, required=True, help="the tar to write")
    return parser


def _main(args: argparse.Namespace) -> None:
    with work.folder(args.out.with_name(f".{args.out.name}.work")) as folder:
        pack(prepare(load(args.pins), folder), args.out)


if __name__ == "__main__":
    sys.exit(action.main(_parser, _main))
