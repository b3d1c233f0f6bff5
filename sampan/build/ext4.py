"""ext4 images of a manifest, as an ordinary user and bit-identical.

mke2fs makes an empty file system and one debugfs script fills it in the manifest's order.
mke2fs's own `-d` copies the build machine's owners, times and extended attributes; with the
script nothing of a source file but its bytes gets in, and inode and block numbers follow
from the manifest. e2fsck then has the last word.

The features are those that Linux 3.4 and old U-Boots read and write: no 64bit, no
metadata_csum. There is no journal: a root file system is read-only in use, and what is
written belongs on the data disk (sampan.build.data). Inodes have 256 bytes: time stamps
hold beyond 2038.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sampan.build import action, manifest
from sampan.build.manifest import Entry, Kind, Manifest, Sources, encode, escape
from sampan.core.errors import EXIT_USAGE, SampanError
from sampan.core.files import atomic
from sampan.core.run import failure_text, run

BLOCK = 4096  #: bytes: the page size of every board
INODE = 256  #: bytes
MIB = 1 << 20
RESERVED_INODES = 10
FEATURES = ("none", "ext_attr", "dir_index", "filetype", "extent", "sparse_super", "large_file", "extra_isize")
LABEL = "sampan-root"
LABEL_MAX = 16  #: bytes, of the superblock's volume name
FAST_LINK = 59  #: bytes: a longer target of a link takes a block
DIRENT = 8  #: bytes of a directory entry before its name
LINE_MAX = 8190  #: bytes: debugfs reads its script in lines of BUFSIZ
FILE_TYPES = {Kind.DIR: 0o040000, Kind.FILE: 0o100000, Kind.CHAR: 0o020000, Kind.BLOCK: 0o060000, Kind.FIFO: 0o010000}


@dataclass(frozen=True)
class Geometry:
    """What mke2fs is told. `size` is in bytes, a multiple of the block size."""

    size: int
    inodes: int
    label: str
    uuid: uuid.UUID
    epoch: int
    features: tuple[str, ...] = FEATURES
    options: tuple[str, ...] = ()  #: further arguments


@dataclass(frozen=True)
class Layout:
    """A planned file system: its geometry and the script that fills it."""

    geometry: Geometry
    script: tuple[str, ...]  #: file names in it are sha256 sums and xattr-N, in the staging folder
    files: tuple[Entry, ...]  #: to be staged under their sha256
    xattrs: tuple[bytes, ...]  #: to be staged as xattr-N


def plan(content: Manifest, epoch: int, *, size: int | None = None, label: str = LABEL) -> Layout:
    """The whole file system but for the files' bytes. `size` in bytes, None: content and slack."""
    check_label(label)
    inodes = _inodes(content)
    needed = _blocks(content, inodes) * BLOCK
    if size is None:
        size = -(-(needed + needed // 10 + MIB // 4) // MIB) * MIB
    elif size < needed:
        raise SampanError(
            f"the content needs an ext4 of at least {-(-needed // MIB)} MiB, {size} bytes are given",
            hint="leave the size out to have it computed",
            code=EXIT_USAGE,
        )
    geometry = Geometry(size // BLOCK * BLOCK, inodes, label, derived_uuid(content, label, size), epoch)
    script = _Script(content, epoch)
    files = {entry.sha256: entry for entry in content.of_kind(Kind.FILE)}
    return Layout(geometry, tuple(script.lines), tuple(files.values()), tuple(script.xattrs))


def check_label(label: str) -> None:
    """A volume label that fits the superblock; SampanError otherwise."""
    if not label.isascii() or not label.isprintable() or not 0 < len(label) <= LABEL_MAX:
        raise SampanError(f"label {label!r} is not 1 to {LABEL_MAX} printable ASCII characters", code=EXIT_USAGE)


def derived_uuid(content: Manifest, label: str, size: int) -> uuid.UUID:
    """A UUID that follows from the content, so that equal images have equal ones and others not."""
    text = f"{label}\n{size}\n{manifest.format_manifest(content)}"
    # Version 8 (RFC 9562) is for UUIDs made by one's own rule.
    digest = bytearray(hashlib.sha256(encode(text)).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(digest))


def _inodes(content: Manifest) -> int:
    used = RESERVED_INODES + 1 + sum(entry.kind is not Kind.HARD for entry in content)
    wanted = used + max(64, used // 10)
    per_block = BLOCK // INODE
    return -(-wanted // per_block) * per_block


def _blocks(content: Manifest, inodes: int) -> int:
    """Blocks the content takes, metadata included; rather one too many than one too few."""
    directories: dict[str, int] = {}
    blocks = 8  # superblock, descriptors, bitmaps, lost+found
    for entry in content:
        name = DIRENT + -(-len(encode(entry.path.rpartition("/")[2])) // 4) * 4
        directories[entry.parent] = directories.get(entry.parent, 24) + name
        if entry.kind is Kind.DIR:
            directories.setdefault(entry.path, 24)
        elif entry.kind is Kind.FILE:
            # One block in 64 covers extent trees even when every group splits the file.
            blocks += -(-entry.size // BLOCK) + entry.size // (BLOCK * 64)
        elif entry.kind is Kind.LINK:
            blocks += len(encode(entry.target)) > FAST_LINK
        blocks += bool(entry.xattrs)
    # An entry does not cross a block: the tail of each may stay empty.
    blocks += sum(-(-size // (BLOCK - DIRENT - 255)) for size in directories.values())
    blocks += inodes * INODE // BLOCK
    return blocks + blocks // 512  # descriptors and bitmaps of further groups


class _Script:
    """The debugfs commands that fill an empty file system in the manifest's order."""

    def __init__(self, content: Manifest, epoch: int) -> None:
        self.lines: list[str] = []
        self.xattrs: list[bytes] = []
        self._folder = "/"
        self._epoch = epoch
        links = {path: len(names) for path, names in content.names_of().items()}
        for entry in content:
            if entry.kind is not Kind.HARD:
                self._create(entry, links.get(entry.path, 1))
        self._hard_links(content)

    def _say(self, path: str, *words: str) -> None:
        line = " ".join(words)
        if "\n" in line or "\r" in line or len(encode(line)) > LINE_MAX:
            raise SampanError(
                f"{escape(path)}: ext4 images take no name or target with a line break or of this length",
                hint="rename it, or use cpio or squashfs",
                code=EXIT_USAGE,
            )
        self.lines.append(line)

    def _create(self, entry: Entry, links: int) -> None:
        """Commands that create take a bare name: they look for the parent of "/name" in the current folder."""
        path, name = quote(entry.path), quote(entry.path.rpartition("/")[2])
        if entry.path not in ("/", "/lost+found"):
            self._enter(entry.parent)
            match entry.kind:
                case Kind.DIR:
                    self._say(entry.path, "mkdir", name)
                case Kind.LINK:
                    self._say(entry.path, "symlink", name, quote(entry.target))
                case Kind.FILE:
                    self._say(entry.path, "write", entry.sha256, name)
                case Kind.FIFO:
                    self._say(entry.path, "mknod", name, "p")
                case Kind.CHAR | Kind.BLOCK:
                    self._node(entry, name, path)
        self._attributes(entry, path, links)

    def _node(self, entry: Entry, name: str, path: str) -> None:
        """debugfs's mknod knows minors of 16 bits; the kernel's encoding of larger ones is put in its place."""
        major, minor = entry.rdev
        self._say(entry.path, "mknod", name, entry.kind[0], str(major), str(min(minor, 0xFFFF)))
        if minor > 0xFFFF:
            encoded = minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
            self._say(entry.path, "sif", path, "block[1]", str(encoded))

    def _enter(self, folder: str) -> None:
        if folder != self._folder:
            self._say(folder, "cd", quote(folder))
            self._folder = folder

    def _attributes(self, entry: Entry, path: str, links: int) -> None:
        fields = {"uid": entry.uid, "gid": entry.gid}
        if entry.kind is not Kind.LINK:
            self._say(entry.path, "sif", path, "mode", f"0{FILE_TYPES[entry.kind] | entry.mode:o}")
        if links > 1:
            fields["links_count"] = links
        for field, value in fields.items():
            self._say(entry.path, "sif", path, field, str(value))
        for time in ("atime", "ctime", "mtime", "crtime"):
            self._say(entry.path, "sif", path, time, f"@{self._epoch}")
        for name, data in entry.xattrs:
            self._say(entry.path, "ea_set", "-f", f"xattr-{len(self.xattrs)}", path, quote(name))
            self.xattrs.append(data)

    def _hard_links(self, content: Manifest) -> None:
        """Further names come last: `ln` does not enlarge a full folder, so room is made first."""
        room: dict[str, int] = {}
        for entry in content.of_kind(Kind.HARD):
            size = DIRENT + len(encode(entry.path)) + 4
            if room.get(entry.parent, 0) < size:
                self._say(entry.parent, "expand_dir", quote(entry.parent))
                room[entry.parent] = BLOCK
            room[entry.parent] -= size
            self._enter(entry.parent)
            self._say(entry.path, "ln", quote(entry.target), quote(entry.path.rpartition("/")[2]))


def quote(text: str) -> str:
    """A word of a debugfs script."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def emit(layout: Layout, sources: Sources, out: Path) -> None:
    """Make the file system in `out`, which is an empty file."""
    with _staging(out) as folder:
        for entry in layout.files:
            (folder / entry.sha256).write_bytes(sources.read(entry))
        for number, data in enumerate(layout.xattrs):
            (folder / f"xattr-{number}").write_bytes(data)
        script = folder / "script"
        script.write_bytes(b"".join(encode(line) + b"\n" for line in layout.script))
        make_empty(layout.geometry, out)
        _debugfs(script, out, layout.geometry.epoch)
    check(out)


@contextlib.contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder beside `out` that goes again, also when a signal arrives while it is made."""
    folder = out.with_name(f"{out.name}.d")
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_empty(geometry: Geometry, out: Path) -> None:
    """An empty ext4 of that geometry in the file `out`."""
    with out.open("r+b") as stream:
        stream.truncate(geometry.size)
    argv = [
        "mke2fs", "-q", "-F", "-t", "ext4",
        "-b", str(BLOCK), "-I", str(INODE), "-N", str(geometry.inodes), "-m", "0",
        "-O", ",".join(geometry.features), "-L", geometry.label, "-U", str(geometry.uuid),
        "-E", f"hash_seed={geometry.uuid},root_owner=0:0,nodiscard", *geometry.options,
        str(out), str(geometry.size // BLOCK),
    ]  # fmt: skip
    run(argv, env=_env(geometry.epoch))


def _env(epoch: int) -> dict[str, str]:
    """/etc/mke2fs.conf of the build machine has no say; times in the superblock are the epoch."""
    return {"MKE2FS_CONFIG": "/dev/null", "E2FSPROGS_FAKE_TIME": str(epoch), "SOURCE_DATE_EPOCH": str(epoch)}


def _debugfs(script: Path, out: Path, epoch: int) -> None:
    """debugfs ends with 0 whatever happened: anything on stderr but its banner is a failure."""
    argv = ["debugfs", "-w", "-f", script.name, str(out.absolute())]
    done = run(argv, cwd=script.parent, env=_env(epoch))
    faults = [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1.")]
    if faults:
        raise SampanError(failure_text(argv, 1, "\n".join(faults)), hint="the content may not fit the size")


def check(out: Path) -> None:
    """e2fsck finds nothing to say about the file system; SampanError otherwise."""
    run(["e2fsck", "-f", "-n", str(out)])


def build_parser() -> argparse.ArgumentParser:
    parser = action.parser("sampan.build.ext4", "Write a manifest as an ext4 file system.")
    action.add_image_options(parser)
    parser.add_argument("--size", type=action.size, help="such as 16M; left out: content and some slack")
    parser.add_argument("--label", default=LABEL)
    return parser


def make(args: argparse.Namespace) -> None:
    """The action."""
    content, sources = manifest.load(args.manifest, args.sources)
    layout = plan(content, args.epoch, size=args.size, label=args.label)
    with atomic(args.out) as temporary:
        emit(layout, sources, temporary)


if __name__ == "__main__":
    sys.exit(action.main(build_parser, make))
